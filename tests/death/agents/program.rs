//! An agent that compares the weather of cities, in two turns over HTTP, and stops at a given place. The tests in this folder
//! kill it there.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kitaru::agent::{
    Agent, AgentError, Deltas, KitaruAgent, KitaruRun, Model, ModelError, ModelProfile, ModelRequest, ModelResponse,
    OpenAi, RunError,
};
use kitaru::{Error, Kitaru, Status, flow, tool};

use crate::notes::{here, note};
use crate::process::{PROGRAM, STOP, say};

/// How long a stream may take to begin, and pause, for a program that is hasty.
const SOON: Duration = Duration::from_millis(250);

/// After how many microseconds the program dies by itself.
pub(crate) const DEATH_US: &str = "KITARU_TEST_DEATH_US";

/// The store that the flow runs on, for code outside the flow.
static STORE: OnceLock<Kitaru> = OnceLock::new();

/// Runs the program, if it is this one: `compares`, and how, in words.
pub(super) async fn run(name: &str) -> Result<bool, Error> {
    if !name.starts_with("compares ") {
        return Ok(false);
    }
    // Automatic recovery would stop after eight crashes, and this job crashes more often.
    let kitaru = Kitaru::builder()
        .dir("store")
        .recovery(if is("waits") { kitaru::Recovery::Automatic } else { kitaru::Recovery::Manual })
        .open()
        .await?;
    let kitaru = STORE.get_or_init(|| kitaru);
    if let Ok(delay) = std::env::var(DEATH_US) {
        die_in(Duration::from_micros(delay.parse().expect("a number")));
    }
    if is("waits") {
        while kitaru.execution(("compares", "job")).await?.is_some_and(|job| job.status() != Status::Completed) {
            tokio::task::yield_now().await;
        }
    }
    let compared = compares(0).id("job").on(kitaru).await;
    say(format!("heard {}", HEARD.load(Ordering::Relaxed)));
    say(format!("result {:?}", compared.map_err(|error| Error::msg(error.to_string()))?));
    kitaru.close().await?;
    Ok(true)
}

/// Ends this process as SIGKILL does, at a moment that its code does not know.
fn die_in(delay: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(delay);
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
}

/// Whether the program is to be so.
fn is(word: &str) -> bool {
    std::env::var(PROGRAM).is_ok_and(|program| program.split(' ').any(|said| said == word))
}

/// Stops at the `nth` of a kind of places, counted from 1.
async fn at(kind: &str, nth: u32) {
    here(&format!("{kind} {nth}")).await;
}

/// The model, and a place to stop at before and after each of its answers.
struct Watched {
    model: OpenAi,
    asked: AtomicU32,
}

#[async_trait]
impl Model for Watched {
    fn name(&self) -> &str {
        self.model.name()
    }

    async fn request(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        self.request_streaming(request, &Deltas::unheard()).await
    }

    async fn request_streaming(&self, request: &ModelRequest, deltas: &Deltas) -> Result<ModelResponse, ModelError> {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        at("ask", nth).await;
        let answer = match is("streamed") {
            true => self.model.request_streaming(request, deltas).await?,
            false => self.model.request(request).await?,
        };
        at("answered", nth).await;
        Ok(answer)
    }

    fn profile(&self) -> ModelProfile {
        self.model.profile()
    }
}

/// The effect of a tool, which its notes show, and the places in it.
async fn effect(tool: &str, place: &str) -> String {
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    note(&format!("ran {tool} {place}"));
    let nth = BEGUN.fetch_add(1, Ordering::Relaxed) + 1;
    at("begin", nth).await;
    stop_once_recorded(nth).await;
    at("end", nth).await;
    format!("the {tool} of {place}")
}

/// Stops in the `nth` call once all concurrent calls have their records.
async fn stop_once_recorded(nth: u32) {
    let stop = std::env::var(STOP).unwrap_or_default();
    let Some(count) = stop.strip_prefix(&format!("alone {nth} ")) else { return };
    let count: usize = count.parse().expect("a number");
    let store = STORE.get().expect("the store is open");
    while store.execution(("compares", "job")).await.is_ok_and(|job| job.is_none_or(|job| job.records().len() < count))
    {
        tokio::task::yield_now().await;
    }
    here(&stop).await;
}

/// The weather of a city.
#[tool]
async fn weather(city: String) -> String {
    effect("weather", &city).await
}

/// The tide at a port.
#[tool]
async fn tide(port: String) -> String {
    effect("tide", &port).await
}

fn model() -> Result<OpenAi, ModelError> {
    let model = OpenAi::builder_from_env()?;
    if is("hasty") { model.retries(0).timeout(SOON).stall_timeout(SOON).build() } else { model.build() }
}

fn agent() -> Result<KitaruAgent, AgentError> {
    let model = Watched { model: model()?, asked: AtomicU32::new(0) };
    let agent = Agent::builder(model).name("guide").instructions("Be brief.").tool(weather()).tool(tide()).build()?;
    let agent = KitaruAgent::new(agent).granular_checkpoints(is("granular"));
    Ok(if is("hasty") { agent.wait_for_model(Duration::ZERO) } else { agent })
}

/// The number of events that the listener received.
static HEARD: AtomicU32 = AtomicU32::new(0);

/// A run with a listener, if the program streams, with a place at each event.
fn heard(run: KitaruRun) -> KitaruRun {
    if !is("streamed") {
        return run;
    }
    run.on_event(|_| {
        let nth = HEARD.fetch_add(1, Ordering::Relaxed) + 1;
        if std::env::var(STOP).is_ok_and(|stop| stop == format!("heard {nth}")) {
            say("stopped");
            loop {
                std::thread::park();
            }
        }
    })
}

#[flow]
async fn compares(_job: u32) -> Result<[String; 2], RunError> {
    let agent = agent()?;
    let first = heard(agent.run("Compare the weather of Brest and Kyoto.")).await?;
    here("between").await;
    let second = heard(agent.run("And at sea?").history(first.all_messages())).await?;
    here("after").await;
    Ok([first.output, second.output])
}
