//! The log lines, which are part of the interface.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use kitaru::{Clock, Error, Kitaru, checkpoint, dynamic, flow};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

thread_local! {
    /// The log of this thread: the lines for people, and all lines.
    static LOGGED: [RefCell<Vec<u8>>; 2] = const { [RefCell::new(Vec::new()), RefCell::new(Vec::new())] };
}

const INFO: usize = 0;
const DEBUG: usize = 1;

/// Writes to one of the thread's buffers.
struct Buffer<const N: usize>;

impl<const N: usize> Write for Buffer<N> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with(|logged| logged[N].borrow_mut().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<const N: usize> MakeWriter<'_> for Buffer<N> {
    type Writer = Buffer<N>;

    fn make_writer(&self) -> Buffer<N> {
        Buffer
    }
}

/// The log lines of this thread. One subscriber serves all threads: subscribers that come and go miss lines.
struct Lines;

impl Lines {
    fn read() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let people = fmt::layer().with_writer(Buffer::<INFO>).without_time().with_target(false).with_ansi(false);
            let all = fmt::layer().with_writer(Buffer::<DEBUG>).without_time().with_target(false).with_ansi(false);
            tracing_subscriber::registry()
                .with(people.with_filter(LevelFilter::INFO))
                .with(all.with_filter(LevelFilter::DEBUG))
                .init();
        });
        Lines
    }

    /// The lines for people since the last call, without times.
    fn take(&self) -> Vec<String> {
        self.take_from(INFO)
    }

    fn take_from(&self, level: usize) -> Vec<String> {
        let bytes = LOGGED.with(|logged| std::mem::take(&mut *logged[level].borrow_mut()));
        let text = String::from_utf8(bytes).expect("lines are UTF-8");
        text.lines().map(without_times).collect()
    }
}

/// A store whose flows are not parked: a parked flow resumes on a thread whose lines are not captured.
fn in_memory() -> kitaru::KitaruBuilder {
    Kitaru::builder().in_memory().park_after(Duration::from_secs(3600))
}

/// Passes a paper to the flow of a test.
fn give_paper(path: &str) {
    PAPER.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
}

fn has_paper(path: &str) -> bool {
    PAPER.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == path)
}

static PAPER: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// `0.012s` becomes `…s`.
fn without_times(line: &str) -> String {
    let words = line.trim().split(' ').map(|word| {
        let number = word.trim_end_matches([',', '.', ':']).strip_suffix('s').and_then(|word| word.parse::<f64>().ok());
        let end = word.find('s').unwrap_or_default();
        number.map_or_else(|| word.to_owned(), |_| format!("…{}", &word[end..]))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[checkpoint]
async fn fetch(path: &str) -> u64 {
    path.len() as u64
}

#[checkpoint(retries = 1, backoff = "1ms")]
async fn print(path: &str) -> Result<u64, Error> {
    if !has_paper(path) { Err(Error::msg("no paper")) } else { Ok(1) }
}

#[flow]
async fn told(path: String) -> Result<u64, Error> {
    Ok(fetch(&path).await + print(&path).await?)
}

#[flow]
async fn without_arguments() -> Result<u64, Error> {
    Ok(fetch("").await)
}

#[tokio::test]
async fn flows_and_checkpoints_log_their_steps_in_the_terms_of_the_interface() {
    let clock = Clock::manual();
    let kitaru = in_memory().park_after(Duration::from_secs(10)).clock(clock.clone()).open().await.unwrap();
    let lines = Lines::read();
    let call = || told("told".into()).id("job-42").on(&kitaru);

    let mut failing = call();
    let turned = async {
        loop {
            clock.advance(Duration::from_millis(2));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { failed = &mut failing => assert!(failed.is_err()), () = turned => {} }
    assert_eq!(
        lines.take(),
        [
            "INFO Flow `told` started (execution `job-42`).",
            "INFO Checkpoint `fetch` started.",
            "INFO Checkpoint `fetch` finished in …s.",
            "INFO Checkpoint `print` started.",
            "WARN Checkpoint `print` failed (try 1 of 2), trying again in …s (execution `job-42` of flow `told`): no paper",
            "WARN Checkpoint `print` failed in …s (execution `job-42` of flow `told`): no paper",
            "ERROR Flow `told` failed in …s (execution `job-42`): no paper",
        ]
    );

    give_paper("told");
    call().await.unwrap();
    assert_eq!(
        lines.take(),
        [
            "INFO Flow `told` continues (execution `job-42`, attempt 2).",
            "INFO Checkpoint `fetch` cached.",
            "INFO Checkpoint `print` started.",
            "INFO Checkpoint `print` finished in …s.",
            "INFO Flow `told` finished in …s (execution `job-42`).",
        ]
    );

    clock.advance(Duration::from_secs(3 * 24 * 3600));
    call().await.unwrap();
    assert_eq!(lines.take(), ["INFO Flow `told` cached (finished 3 days ago; .fresh() runs it again)"]);
}

#[checkpoint]
async fn says_something(n: u32) -> u32 {
    tracing::info!("in the body");
    n
}

#[tokio::test]
async fn an_execution_an_attempt_and_a_checkpoint_each_have_a_span() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    let flow = dynamic::flow("spans").run(|| async {
        says_something(1).await;
        Ok::<_, Error>(says_something(2).await)
    });
    flow.id("job-42").on(&kitaru).await.unwrap();
    let said: Vec<String> = lines.take_from(DEBUG).into_iter().filter(|line| line.ends_with("in the body")).collect();
    let spans = |name: &str| {
        format!(
            "INFO execution{{flow=\"spans\" id=\"job-42\" generation=1}}:attempt{{number=1}}:\
             checkpoint{{name=\"{name}\"}}: in the body"
        )
    };
    assert_eq!(said, [spans("says_something"), spans("says_something_2")]);
}

#[tokio::test]
async fn a_flow_without_arguments_warns_when_its_result_is_a_recorded_one() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    without_arguments().on(&kitaru).await.unwrap();
    lines.take();
    without_arguments().on(&kitaru).await.unwrap();
    assert_eq!(lines.take(), ["WARN Flow `without_arguments` cached (finished just now; .fresh() runs it again)"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_that_others_may_use_is_warned_of_once() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    let lines = Lines::read();
    let open = || Kitaru::builder().dir(&dir).open();
    open().await.unwrap().close().await.unwrap();
    assert!(lines.take().is_empty(), "what is made here is for this user only");
    for (name, mode) in [("", 0o755), ("store.redb", 0o644)] {
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let kitaru = open().await.unwrap();
    let said = lines.take();
    assert_eq!(said.len(), 1, "{said:?}");
    for part in ["WARN", "can be used by others", "store (0755)", "store.redb (0644)", "chmod"] {
        assert!(said[0].contains(part), "{said:?} lacks {part}");
    }
    without_arguments().on(&kitaru).await.unwrap();
    assert!(!lines.take().join("\n").contains("by others"));
    kitaru.close().await.unwrap();
}

#[checkpoint(sensitive, retries = 1, backoff = "1ms")]
async fn sign(secret: &str) -> Result<u64, Error> {
    Err(Error::msg(format!("{secret} is refused")))
}

#[checkpoint(sensitive)]
async fn sign_wildly(secret: &str) -> Result<u64, Error> {
    panic!("{secret} is refused")
}

#[flow(name = "under another name")]
async fn goes_by_another_name() -> Result<u64, Error> {
    Ok(1)
}

/// Calls a flow, but is not a flow itself.
fn no_flow(path: String) -> kitaru::FlowCall<Result<u64, Error>> {
    told(path)
}

#[tokio::test]
async fn flow_is_registered_by_its_function_and_a_non_flow_causes_a_warning() {
    let lines = Lines::read();
    let builder = in_memory;
    let known = builder().register(told).register(without_arguments).register(goes_by_another_name);
    known.open().await.unwrap();
    assert!(lines.take().is_empty());
    builder().register(no_flow).open().await.unwrap();
    let said = lines.take();
    assert!(said.len() == 1 && said[0].contains("`logs::no_flow` was registered but is not a #[flow]"), "{said:?}");
    let kitaru = builder().open().await.unwrap();
    goes_by_another_name().id("job").on(&kitaru).await.unwrap();
    dynamic::flow("own").run(|| async { Ok::<_, Error>(1) }).id("job").on(&kitaru).await.unwrap();
    assert!(kitaru.execution(("under another name", "job")).await.unwrap().unwrap().is_known());
    assert!(!kitaru.execution(("own", "job")).await.unwrap().unwrap().is_known());
    lines.take();
}

#[flow]
async fn signs(secret: String) -> Result<u64, Error> {
    let _ = sign(&secret).await;
    let _ = sign_wildly(&secret).await;
    Ok(1)
}

#[tokio::test]
async fn sensitive_values_are_in_no_log_line() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    signs("hunter2".into()).id("job").on(&kitaru).await.unwrap();
    let said = lines.take().join("\n");
    assert!(said.contains("Checkpoint `sign` failed in …s (execution `job` of flow `signs`): (sensitive)"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let execution = kitaru.execution(("signs", "job")).await.unwrap().unwrap();
    for record in execution.records() {
        assert_eq!((record.preview(), record.arguments().next()), ("(sensitive)", Some(("secret", "(sensitive)"))));
    }
}

mod before {
    #[kitaru::checkpoint]
    pub async fn draft(topic: &str) -> String {
        format!("an old draft on {topic}")
    }

    #[kitaru::checkpoint(on_code_change = "rerun")]
    pub async fn review(topic: &str) -> String {
        format!("an old review of {topic}")
    }

    #[kitaru::checkpoint(version = "1")]
    pub async fn publish(topic: &str) -> String {
        format!("{topic} in an old edition")
    }
}

mod after {
    #[kitaru::checkpoint]
    pub async fn draft(topic: &str) -> String {
        format!("a draft on {topic}")
    }

    #[kitaru::checkpoint(on_code_change = "rerun")]
    pub async fn review(topic: &str) -> String {
        format!("a review of {topic}")
    }

    #[kitaru::checkpoint(version = "2")]
    pub async fn publish(topic: &str) -> String {
        format!("{topic} in an edition")
    }
}

#[tokio::test]
async fn record_of_changed_code_is_used_by_default_and_shown_as_such() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    let deployed = dynamic::flow("report").run(|| async {
        before::draft("tides").await;
        before::review("tides").await;
        before::publish("tides").await;
        Err::<(), _>(Error::msg("the process is replaced"))
    });
    deployed.id("job").on(&kitaru).await.unwrap_err();
    lines.take();

    let deployed = dynamic::flow("report").run(|| async {
        let (draft, review) = (after::draft("tides").await, after::review("tides").await);
        Ok::<_, Error>((draft, review, after::publish("tides").await))
    });
    let (draft, review, published) = deployed.id("job").on(&kitaru).await.unwrap();
    assert_eq!(draft, "an old draft on tides", "a deploy must not pay twice");
    assert_eq!(review, "a review of tides");
    assert_eq!(published, "tides in an edition");
    let said = lines.take();
    assert_eq!(said[1], "INFO Checkpoint `draft` cached; recorded by other code.");
    assert_eq!(said[2], "INFO Checkpoint `review` started.");
}

/// Characters that must not appear unescaped in a line.
const HIDDEN: &str = "\n\r\u{0}\u{1b}\u{7f}\u{85}\u{202e}\u{2028}\u{200b}\u{e0041}";

const FORGED: &str = " INFO Flow `pay` finished in 0.1s.";

#[checkpoint(retries = 1, backoff = "1ms")]
async fn fails_with(text: String, path: String) -> Result<u64, Error> {
    if has_paper(&path) {
        return Ok(1);
    }
    give_paper(&path);
    Err(Error::msg("above").context(text))
}

#[flow]
async fn quotes(text: String, path: String) -> Result<bool, Error> {
    fails_with(text.clone(), path).await?;
    kitaru::wait::<bool>("approval").question(text.clone()).await?;
    Err(Error::msg(text))
}

#[tokio::test]
async fn callers_text_makes_no_log_line_of_its_own_and_hides_nothing() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    let text = format!("x{HIDDEN}{FORGED}");
    let call = || quotes(text.clone(), "quotes".into()).id(&*text).on(&kitaru);
    let job = call().start().await.unwrap();
    kitaru.answer(&job, "approval", &true).await.unwrap();
    job.await.unwrap_err();
    call().await.unwrap_err();
    let own = dynamic::flow("own").run(|| async { Ok::<_, Error>(1) });
    own.id(&*text).on(&kitaru).await.unwrap();

    let all = LOGGED.with(|logged| logged.each_ref().map(|logged| String::from_utf8(logged.take()).unwrap()));
    for log in &all {
        assert!(log.matches("x\\n\\r\\u0000\\u001b").count() >= 4, "{log}");
        let hidden = |char: &char| HIDDEN.contains(*char) && *char != '\n';
        assert_eq!(log.chars().find(hidden), None, "{log}");
    }
    // Each line for people begins with its level, and no line is forged.
    for line in all[INFO].lines() {
        let (level, said) = line.trim_start().split_once(' ').unwrap();
        assert!(["INFO", "WARN", "ERROR"].contains(&level), "{line}");
        assert!(!said.trim_start().starts_with("Flow `pay`"), "{line}");
    }
    assert!(lines.take().is_empty());
}

#[flow]
async fn waits_for_a_person() -> Result<u32, Error> {
    says_something(1).await;
    std::future::pending().await
}

#[tokio::test]
async fn closing_a_store_logs_no_error_and_names_what_resumes_the_interrupted() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    drop(waits_for_a_person().id("job").on(&kitaru).start().await.unwrap());
    while kitaru.execution(("waits_for_a_person", "job")).await.unwrap().unwrap().records().is_empty() {
        tokio::task::yield_now().await;
    }
    lines.take();
    kitaru.close().await.unwrap();
    let said: Vec<String> = lines.take().into_iter().filter(|line| !line.starts_with("INFO Checkpoint")).collect();
    assert_eq!(
        said,
        [
            "INFO Flow `waits_for_a_person` interrupted in …s (execution `job`): its store is closed. It resumes when the \
             store is opened again, or when the flow is called."
        ]
    );
}

#[tokio::test]
async fn cancelling_a_flow_logs_no_error() {
    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    let job = waits_for_a_person().id("unwanted").on(&kitaru).start().await.unwrap();
    kitaru.cancel(&job).await.unwrap();
    let said = lines.take();
    let last = "INFO Flow `waits_for_a_person` cancelled in …s: cannot finish execution `unwanted` of flow `waits_for_a_person`: it was cancelled";
    assert_eq!(said.last().map(String::as_str), Some(last), "{said:#?}");
    assert!(said.iter().all(|line| line.starts_with("INFO ")), "{said:#?}");
}

#[tokio::test]
async fn flow_runs_in_the_span_of_its_caller() {
    use tracing::Instrument as _;

    let kitaru = in_memory().open().await.unwrap();
    let lines = Lines::read();
    let flow = dynamic::flow("called").run(|| async { Ok::<_, Error>(says_something(1).await) });
    let call = flow.id("job-42").on(&kitaru);
    call.instrument(tracing::info_span!("request", nth = 7)).await.unwrap();
    let said = lines.take_from(DEBUG).into_iter().find(|line| line.ends_with("in the body")).unwrap();
    assert!(said.starts_with("INFO request{nth=7}:execution{flow=\"called\""), "{said}");
}

#[flow]
async fn prints_some_day(path: String) -> Result<u64, Error> {
    let day = Duration::from_secs(86_400);
    print(&path).retries(0).wait_out("the printer", day, |_| Some(Duration::from_secs(5))).await
}

#[tokio::test]
async fn first_wait_for_a_service_is_a_warning_and_the_others_are_not() {
    let clock = Clock::manual();
    let kitaru = in_memory().clock(clock.clone()).open().await.unwrap();
    let lines = Lines::read();
    let job = prints_some_day("outage".into()).on(&kitaru).start().await.unwrap();
    let mut said = Vec::new();
    while said.len() < 4 {
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
        said.extend(lines.take().into_iter().filter(|line| line.contains("waits for")));
    }
    give_paper("outage");
    let turned = async {
        loop {
            clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { done = job => assert_eq!(done.unwrap(), 1), () = turned => {} }
    let waits = "Checkpoint `print` waits for the printer: no paper, next try ";
    assert!(said[0].starts_with(&format!("WARN {waits}")), "{said:?}");
    assert!(said[1..].iter().all(|line| line.starts_with(&format!("INFO {waits}"))), "{said:?}");
    assert!(said.iter().all(|line| line.contains(" UTC (in ")), "{said:?}");
}
