//! The world of a program: it sends signals, answers questions, cancels the program, lets time pass, and checks the result.

use std::task::Poll;
use std::time::Duration;

use futures::poll;
use kitaru::testkit::Testkit;
use kitaru::{Error, Handle, Status};

use crate::interpret::{call, forget_tries, said_of, shown};
use crate::program::{End, Part, Role, Step};
use crate::trace;

const TARGET: (&str, &str) = ("program", "job");
/// The time between two checks, and the number of checks: no program takes as long.
const LOOK: Duration = Duration::from_secs(20);
const LOOKS: u32 = 200;

/// Runs a program to its end, and sends it all that it waits for, however often the store refuses.
pub async fn run(kit: &Testkit, nth: u64) -> String {
    if kit.journal().to_string().is_empty() {
        trace::clear();
        forget_tries();
    }
    let part = Part { nth, round: 0, role: Role::Root };
    let mut running = start(kit, part).await;
    if running.is_ok() {
        post(kit, part).await;
    }
    if let End::Cancelled(after) = part.program().end {
        kit.advance(after).await;
        cancel(kit).await;
    }
    let mut looks = 0..LOOKS;
    let came = loop {
        assert!(looks.next().is_some(), "it does not end:\n{}", kit.journal());
        match &mut running {
            Err(error) => break Err(error.clone()),
            Ok(handle) => match poll!(handle) {
                Poll::Ready(Err(error)) if again(&error) || error.is_stuck() => {
                    running = start(kit, part).await;
                }
                Poll::Ready(came) => break came,
                Poll::Pending => {}
            },
        }
        answer_what_is_asked(kit).await;
        kit.advance(LOOK).await;
    };
    // Children that run without their parent end, too.
    while !is_at_its_end(kit).await {
        assert!(looks.next().is_some(), "a child does not end:\n{}", kit.journal());
        answer_what_is_asked(kit).await;
        kit.advance(LOOK).await;
    }
    if let Some(breach) = trace::breach() {
        panic!("{breach}");
    }
    let came = came.map_err(|error| if error.is_cancelled() { "cancelled".to_owned() } else { error.to_string() });
    format!("{came:?}, {}", shows(kit, part).await)
}

async fn start(kit: &Testkit, part: Part) -> Result<Handle<Result<u64, Error>>, Error> {
    loop {
        match kit.start(call(part).id(TARGET.1)).await {
            Err(error) if again(&error) => {}
            // Its attempts have met faults of the store too often: a person resumes it.
            Err(error) if error.is_stuck() => drop(kit.kitaru().resume(TARGET).await),
            started => break started,
        }
    }
}

/// Sends everything that the flow waits for, in all its generations, before it asks.
async fn post(kit: &Testkit, part: Part) {
    for program in part.programs() {
        for id in program.ids(|step| if let Step::Signal { id } = step { Some(*id) } else { None }) {
            while kit.signal(&TARGET, &format!("signal {id}"), &id).await.is_err_and(|error| again(&error)) {}
        }
        for id in program.ids(|step| if let Step::Answer { id } = step { Some(*id) } else { None }) {
            while kit.answer(&TARGET, &format!("answer {id}"), &id).await.is_err_and(|error| again(&error)) {}
        }
    }
}

/// It may have been cancelled by a process that died, or have failed for good.
async fn cancel(kit: &Testkit) {
    while kit.kitaru().cancel(TARGET).await.is_err_and(|error| again(&error)) {}
}

async fn answer_what_is_asked(kit: &Testkit) {
    for (flow, id) in unfinished(kit).await {
        let Ok(Some(execution)) = kit.kitaru().execution((&flow, &id)).await else { continue };
        for wait in execution.waits() {
            if let Some(nth) = wait.name().strip_prefix("asked ").and_then(|nth| nth.parse().ok()) {
                // If the store refuses it, the next check sends it again.
                drop(kit.kitaru().answer(&(&*flow, &*id), wait.name(), &said_of(nth)).await);
            }
        }
    }
}

async fn unfinished(kit: &Testkit) -> Vec<(String, String)> {
    let Ok(page) = kit.kitaru().executions().await else { return Vec::new() };
    let unfinished = page.iter().filter(|execution| !execution.status().is_final());
    unfinished.map(|execution| (execution.flow().to_owned(), execution.id().to_owned())).collect()
}

async fn is_at_its_end(kit: &Testkit) -> bool {
    unfinished(kit).await.is_empty()
}

/// The published values of its last generation that it is sure to publish.
async fn shows(kit: &Testkit, part: Part) -> String {
    let mut shows = Vec::new();
    let status = kit.kitaru().execution((TARGET.0, TARGET.1)).await.ok().flatten().map(|execution| execution.status());
    if status == Some(Status::Completed) {
        for program in part.programs() {
            let showing = |step: &Step| match step {
                Step::Publish { id } | Step::Nested { id } => Some(*id),
                _ => None,
            };
            for id in program.sure_ids(showing) {
                let value: Option<u32> = kit.kitaru().published(&TARGET, &shown(id)).await.ok().flatten();
                shows.push(value);
            }
        }
    }
    format!("{shows:?}")
}

fn again(error: &Error) -> bool {
    error.is_store()
}
