//! Section 6: the text of an error: the same on every replay, as its own message, and in one line.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use kitaru::{Error, checkpoint, dynamic, flow};

use crate::support::{log, memory};

/// An error that is its own source. Such errors exist.
#[derive(Debug)]
struct Own;

/// Two errors that are the source of each other.
#[derive(Debug)]
struct Ping;
#[derive(Debug)]
struct Pong;

macro_rules! sources {
    ($($error:ident $said:literal $source:expr;)*) => { $(
        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($said)
            }
        }

        impl std::error::Error for $error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                static ASKED: AtomicU32 = AtomicU32::new(0);
                assert!(ASKED.fetch_add(1, Ordering::Relaxed) < 100_000, "it is asked for its source without end");
                Some($source)
            }
        }

        impl From<Error> for $error {
            fn from(_: Error) -> Self {
                $error
            }
        }
    )* };
}

sources! {
    Own "bad icon" &Own;
    Ping "ping" &Pong;
    Pong "pong" &Ping;
}

#[checkpoint]
async fn fails_in_a_circle(n: u32) -> Result<u32, Own> {
    let _ = n;
    Err(Own)
}

#[flow]
async fn goes_round(n: u32) -> Result<u32, Ping> {
    let _ = fails_in_a_circle(n).await;
    Err(Ping)
}

#[tokio::test]
async fn an_error_that_is_its_own_source_ends() {
    assert_eq!(Error::from_std(&Own).messages().collect::<Vec<_>>(), ["bad icon"]);
    assert!(Error::from_std(&Pong).messages().count() <= 64);
    let (kitaru, _) = memory().await;
    goes_round(1).id("job").on(&kitaru).await.unwrap_err();
    let execution = kitaru.execution(("goes_round", "job")).await.unwrap().unwrap();
    assert_eq!(execution.records()[0].preview(), "bad icon");
    assert!(execution.error().is_some_and(|error| error.starts_with("ping: pong")));
}

#[tokio::test]
async fn an_error_of_a_flow_without_an_attribute_reads_as_its_messages() {
    let (kitaru, _) = memory().await;
    let error = || Error::msg("no paper").context("printing");
    let flow = dynamic::flow("prints").input("n", &1).run(move || async move {
        let caught = dynamic::checkpoint("print").run(move || async move { Err::<(), _>(error()) }).await;
        caught.map_err(|error| error.context("the report"))
    });
    flow.id("job").on(&kitaru).await.unwrap_err();
    let execution = kitaru.execution(("prints", "job")).await.unwrap().unwrap();
    assert_eq!(execution.error(), Some("the report: printing: no paper"));
    assert_eq!(execution.records()[0].preview(), "printing: no paper");
}

#[tokio::test]
async fn a_fatal_error_of_a_checkpoint_without_an_attribute_is_not_tried_again() {
    let (kitaru, _) = memory().await;
    let said = log("saying: fatal");
    let tries = said.clone();
    let flow = dynamic::flow("gives_up").run(move || async move {
        let check = dynamic::checkpoint("check").run(|| async {
            tries.say("tried");
            Err::<(), _>(Error::msg("no such card").fatal())
        });
        check.retries(3).await
    });
    flow.on(&kitaru).await.unwrap_err();
    assert_eq!(said.take(), ["tried"]);
}

mod backtraces {
    use super::*;

    #[checkpoint]
    async fn charge(n: u32) -> anyhow::Result<u32> {
        anyhow::bail!("card {n} declined")
    }

    #[checkpoint]
    async fn mail(path: String, text: String) -> anyhow::Result<()> {
        log(&path).say(text);
        Ok(())
    }

    #[checkpoint]
    async fn stop(path: String) -> anyhow::Result<()> {
        anyhow::ensure!(log(&path).count("continue") > 0, "the process dies");
        Ok(())
    }

    /// A user's error that captures a backtrace.
    #[derive(Debug)]
    struct Traced {
        #[allow(dead_code)]
        backtrace: std::backtrace::Backtrace,
        message: String,
    }

    impl fmt::Display for Traced {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.message)
        }
    }

    impl std::error::Error for Traced {}

    impl From<Error> for Traced {
        fn from(error: Error) -> Self {
            Traced { backtrace: std::backtrace::Backtrace::capture(), message: error.to_string() }
        }
    }

    #[checkpoint]
    async fn ship(n: u32) -> Result<u32, Traced> {
        Err(Error::msg(format!("no parcel {n}")).into())
    }

    #[flow]
    async fn orders_and_mails(path: String) -> anyhow::Result<()> {
        if let Err(error) = charge(1).await {
            mail(path.clone(), format!("{error:?}")).await?;
            mail(path.clone(), format!("first:\n{error:?}\nand {error:?}")).await?;
        }
        if let Err(error) = ship(1).await {
            mail(path.clone(), format!("{error:?}")).await?;
        }
        stop(path).await
    }

    // In a process of its own: std reads once whether backtraces are on.
    #[test]
    fn effect_with_the_debug_form_of_an_error_is_not_repeated_with_backtraces() {
        const NAME: &str = "saying::backtraces::effect_with_the_debug_form_of_an_error_is_not_repeated_with_backtraces";
        if std::env::var_os("KITARU_TEST_BACKTRACES").is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (kitaru, _) = memory().await;
                let path = "saying: backtraces";
                orders_and_mails(path.into()).on(&kitaru).await.unwrap_err();
                let first = log(path).take();
                assert_eq!(first.len(), 3);
                assert!(first.iter().all(|text| text.contains("acktrace")), "they are taken: {first:#?}");
                // At another stack depth.
                let task = tokio::spawn(async move { orders_and_mails(path.into()).on(&kitaru).await });
                task.await.unwrap().unwrap_err();
                assert_eq!(log(path).take(), Vec::<String>::new());
            });
            return;
        }
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .envs([("KITARU_TEST_BACKTRACES", "1"), ("RUST_BACKTRACE", "1"), ("RUST_LIB_BACKTRACE", "1")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&child.stderr));
    }
}

/// Characters that must not appear unescaped, wherever they are quoted.
const HIDDEN: [char; 9] = ['\n', '\r', '\u{0}', '\u{1b}', '\u{202e}', '\u{2028}', '\u{200b}', '\u{200d}', '\u{e0041}'];

#[flow]
async fn waits_by_any_id(n: u32) -> Result<u32, Error> {
    kitaru::signal::<u32>("go").await?;
    Ok(n)
}

#[flow]
async fn fails_by_any_id(n: u32) -> Result<u32, Error> {
    Err(Error::msg(format!("no {n}")))
}

#[tokio::test]
async fn ids_and_names_are_quoted_in_errors_with_hidden_characters_escaped() {
    let (kitaru, _) = memory().await;
    for hidden in HIDDEN {
        let id = format!("x{hidden} INFO kitaru: Flow `pay` finished in 0.1s.");
        let job = waits_by_any_id(1).id(&*id).on(&kitaru).start().await.unwrap();
        let absent = ("waits_by_any_id", format!("y{hidden}z"));
        let absent = (absent.0, &*absent.1);
        let errors = [
            waits_by_any_id(2).id(&*id).on(&kitaru).await.unwrap_err(),
            kitaru.signal(absent, "go", &1).await.unwrap_err(),
            kitaru.cancel(absent).await.unwrap_err(),
            kitaru.resume(absent).await.unwrap_err(),
            kitaru.published::<u32>(&absent, "name").await.unwrap_err(),
        ];
        for error in errors {
            assert!(!format!("{error:#} {error:?}").contains(hidden), "{hidden:?}: {error:#}");
        }
        if hidden != '\u{200d}' {
            let name = format!("na{hidden}me");
            let errors = [
                kitaru.signal(&job, &name, &1).await.unwrap_err(),
                kitaru.answer(&job, &name, &1).await.unwrap_err(),
                dynamic::flow(name.clone()).run(|| async { Ok::<_, Error>(()) }).on(&kitaru).await.unwrap_err(),
            ];
            for error in errors {
                assert!(error.is_misuse(), "{hidden:?}: {error:?}");
                assert!(!error.to_string().contains(hidden), "{hidden:?}: {error}");
            }
        }
        kitaru.signal(&job, "go", &1).await.unwrap();
        assert_eq!(job.await.unwrap(), 1, "an id may have it");
        fails_by_any_id(1).id(&*id).on(&kitaru).await.unwrap_err();
        let record = format!("record{hidden}");
        let error = kitaru.resume(("fails_by_any_id", &*id)).forget(record).await.unwrap_err();
        assert!(!error.to_string().contains(hidden), "{hidden:?}: {error}");
    }
}

#[tokio::test]
async fn the_preview_of_an_error_is_one_line() {
    let (kitaru, _) = memory().await;
    let flow = dynamic::flow("tells").run(|| async { Err::<(), _>(Error::msg("one\ntwo\u{202e}three")) });
    let error = flow.id("job").on(&kitaru).await.unwrap_err();
    assert_eq!(error.to_string(), "one\ntwo\u{202e}three", "the flow's own words are given as they are");
    let execution = kitaru.execution(("tells", "job")).await.unwrap().unwrap();
    assert_eq!(execution.error(), Some("one\\ntwo\\u202ethree"));
}
