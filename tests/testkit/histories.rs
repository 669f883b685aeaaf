//! Histories, kept and replayed against other versions of their code.

use std::time::Duration;

use kitaru::testkit::{self, Testkit};
use kitaru::{Error, History, checkpoint, flow};

use crate::histories::library::{research, write};

/// The library that every version of the flow calls.
mod library {
    use super::*;

    #[checkpoint]
    pub async fn research(topic: &str) -> Result<String, Error> {
        Ok(format!("notes on {topic}"))
    }

    #[checkpoint]
    pub async fn write(notes: &str, words: u32) -> Result<String, Error> {
        Ok(format!("{notes}, in {words} words"))
    }

    #[checkpoint]
    pub async fn print(text: &str) -> Result<(), Error> {
        assert!(!text.is_empty());
        Ok(())
    }
}

/// A flow by the same name in each version of the code.
fn report<Fut>(version: fn(String) -> Fut) -> kitaru::FlowCall<Result<String, Error>>
where
    Fut: Future<Output = Result<String, Error>> + Send + 'static,
{
    kitaru::dynamic::flow("report").input("topic", "tides").run(move || version("tides".to_owned()))
}

async fn first(topic: String) -> Result<String, Error> {
    let notes = research(&topic).await?;
    write(&notes, 300).await
}

async fn history() -> History {
    let kit = Testkit::new();
    kit.run(report(first).id("job")).await.unwrap();
    let history = kit.kitaru().export(("report", "job")).await.unwrap();
    history.to_string().parse().unwrap()
}

#[tokio::test]
async fn history_is_the_same_json_again_and_its_code_replays_it_without_a_run() {
    let (one, other) = (history().await, history().await);
    let without_durations =
        |history: History| history.to_string().lines().filter(|line| !line.contains("frame")).count();
    assert_eq!(without_durations(one.clone()), without_durations(other));
    testkit::replay(&one, report(first));
    let kept: History = one.to_string().parse().unwrap();
    assert_eq!(kept, one);
    assert_eq!(one.flow(), "report");
}

async fn other_arguments(topic: String) -> Result<String, Error> {
    let notes = research(&topic).await?;
    write(&notes.to_uppercase(), 300).await
}

#[tokio::test]
async fn a_divergence_is_shown_like_a_compilers_error() {
    let mismatch = testkit::replay_report(&history().await, report(other_arguments)).unwrap_err().to_string();
    let line = include_str!("histories.rs").lines().position(|line| line.contains("pub async fn write")).unwrap();
    let expected = format!(
        r#"error: checkpoint `write` is not called as recorded
  --> tests/testkit/histories.rs:{line} (testkit::histories::library)
   |
   | recorded: write(notes = "notes on tides", words = 300)  (record `write`)
   |    asked: write(notes = "NOTES ON TIDES", words = 300)
   |
   = argument `notes` was "notes on tides" and is "NOTES ON TIDES"
"#
    );
    assert!(mismatch.starts_with(&expected), "{mismatch}\n{expected}");
    assert!(mismatch.ends_with("error: flow `report` differs from its history: 1 difference"), "{mismatch}");
}

async fn one_more(topic: String) -> Result<String, Error> {
    let text = first(topic).await?;
    library::print(&text).await?;
    Ok(text)
}

async fn one_less(topic: String) -> Result<String, Error> {
    research(&topic).await.map(|notes| format!("{notes}, in 300 words"))
}

async fn another_end(topic: String) -> Result<String, Error> {
    first(topic).await.map(|text| text.to_uppercase())
}

#[tokio::test]
async fn a_call_more_a_call_less_and_another_end_are_differences() {
    let history = history().await;
    let shown = |call| testkit::replay_report(&history, call).unwrap_err().to_string();
    let more = shown(report(one_more));
    assert!(
        more.contains("error: checkpoint `print` has no record as `print`\n  --> tests/testkit/histories.rs:"),
        "{more}"
    );
    let less = shown(report(one_less));
    assert!(less.contains("error: no call asks for the record `write` any more"), "{less}");
    let end = shown(report(another_end));
    assert!(end.contains("now: completed: \"NOTES ON TIDES, IN 300 WORDS\""), "{end}");
}

#[checkpoint(sensitive)]
async fn token(user: &str) -> Result<String, Error> {
    Ok(format!("{user}-secret-4711"))
}

#[flow]
async fn logs_in(user: String) -> Result<usize, Error> {
    let token = token(&user).await?;
    kitaru::sleep(Duration::from_secs(3_600)).await;
    let _: bool = kitaru::wait("done").await?;
    Ok(token.len())
}

#[tokio::test]
async fn sensitive_values_are_left_out_and_a_replay_is_given_others() {
    let kit = Testkit::new();
    kit.fast_forward_to_waits().await;
    let history = kit.kitaru().export(("logs_in", "job")).await.unwrap();
    let bytes: String = "secret-4711".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!history.to_string().contains("4711") && !history.to_string().contains(&bytes), "{history}");
    let refused = testkit::replay_report(&history, logs_in("ada".into())).unwrap_err().to_string();
    assert!(refused.contains("the value of `token` is sensitive and was left out"), "{refused}");
    let history = history.with_value("token", "ada-secret-4711").unwrap();
    testkit::replay(&history, logs_in("ada".into()));
}

trait ToWaits {
    async fn fast_forward_to_waits(&self);
}

impl ToWaits for Testkit {
    /// Runs `logs_in` until it waits for an answer.
    async fn fast_forward_to_waits(&self) {
        drop(self.start(logs_in("ada".into()).id("job")).await.unwrap());
        self.advance(Duration::from_secs(3_600)).await;
    }
}

#[flow]
async fn retries(n: u32) -> Result<String, Error> {
    let caught = research("nothing").await.unwrap_err();
    write(&caught.to_string(), n).await
}

#[tokio::test]
async fn a_history_of_errors_and_several_attempts_is_replayed_as_it_was() {
    let kit = Testkit::new();
    kit.fail("research", 1, "no books");
    kit.fail("write", 1, "no paper");
    assert!(kit.run(retries(2).id("job")).await.is_err());
    testkit::replay(&kit.kitaru().export(("retries", "job")).await.unwrap(), retries(2));
    kit.run(retries(2).id("job")).await.unwrap();
    testkit::replay(&kit.kitaru().export(("retries", "job")).await.unwrap(), retries(2));
}

#[tokio::test]
async fn history_is_not_replayed_with_another_input_or_format_version() {
    let kit = Testkit::new();
    kit.fail("research", 1, "no books");
    kit.run(retries(2).id("job")).await.unwrap();
    let history = kit.kitaru().export(("retries", "job")).await.unwrap();
    let refused = testkit::replay_report(&history, retries(3)).unwrap_err().to_string();
    assert!(refused.contains("has another input"), "{refused}");
    let newer = history.to_string().replace("\"kitaru_history\": 1", "\"kitaru_history\": 2");
    assert!(newer.parse::<History>().unwrap_err().to_string().contains("its format has version 2"));
    assert!("{}".parse::<History>().unwrap_err().is_unreadable());
}

/// Each file of the folder is a test.
mod kept {
    kitaru::testkit::histories!("tests/testkit/histories/*.json");
}

/// Writes the histories that `kept` replays, on request. Never overwrites a history of a released version.
#[tokio::test]
async fn histories_are_written_on_demand() {
    if std::env::var_os("KITARU_WRITE_HISTORIES").is_none() {
        return;
    }
    let kit = Testkit::new();
    kit.fail("research", 1, "no books");
    kit.run(retries(2).id("job")).await.unwrap();
    let write = |name: &str, history: History| {
        std::fs::write(format!("tests/testkit/histories/{name}.json"), history.to_string()).unwrap();
    };
    write("an-error-that-was-caught", kit.kitaru().export(("retries", "job")).await.unwrap());
    kit.fast_forward_to_waits().await;
    let history = kit.kitaru().export(("logs_in", "job")).await.unwrap();
    write("waits-for-an-answer", history.with_value("token", "x").unwrap());
}
