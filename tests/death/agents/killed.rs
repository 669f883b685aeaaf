//! SIGKILL at every question, at every tool call, at every event of a stream, and at any moment.

use std::path::Path;
use std::time::Instant;

use super::house::{CALLS, House, How, QUESTIONS, Recorded};
use super::wire::Hold;
use crate::noted;
use crate::process::folder;

/// Where a program is killed.
#[derive(Debug)]
enum Place {
    /// Where it stops by itself.
    Own(String),
    /// While it waits for what is on the wire.
    Wire(Hold),
}

impl Place {
    fn own(place: impl Into<String>) -> Place {
        Place::Own(place.into())
    }
}

/// Kills a process, which found `found`, at a place, and reads its traces.
async fn killed_at(house: &House, dir: &Path, place: Place, found: &Recorded, what: &str) -> Recorded {
    let notes = noted(dir).len();
    let process = match place {
        Place::Own(stop) => {
            let mut process = house.begin(dir, How { stop: &stop, ..How::default() });
            process.wait_for("stopped");
            process
        }
        Place::Wire(hold) => {
            let process = house.begin(dir, How { hold: Some(hold), ..How::default() });
            assert!(house.wire.is_held(), "{what}: it does not come there");
            process
        }
    };
    process.kill();
    house.left(dir, found, &noted(dir)[notes..], what).await
}

/// For each of these places: kills the program there, and resumes it.
async fn killed_at_each(house: &House, places: Vec<Place>) {
    for place in places {
        let what = format!("{} killed at {place:?}", house.program);
        let dir = folder();
        let left = killed_at(house, dir.path(), place, &Recorded::default(), &what).await;
        house.goes_on(dir.path(), &left, How::default(), &what).await;
    }
}

/// The places around each question and each tool call.
fn places(house: &House) -> Vec<Place> {
    let mut places = vec![Place::own("between"), Place::own("after")];
    for nth in 1..=QUESTIONS {
        places.push(Place::own(format!("ask {nth}")));
        places.push(Place::Wire(Hold::Question(nth)));
        places.push(Place::Wire(Hold::Answer(nth, 0)));
        places.push(Place::own(format!("answered {nth}")));
    }
    let (mut nth, mut records) = (0, 0);
    for (answer, calls) in CALLS.iter().enumerate() {
        // The answer with the calls, and the last answer of the turn before.
        records += if answer == 2 { 2 } else { 1 };
        for _ in *calls {
            nth += 1;
            places.push(Place::own(format!("begin {nth}")));
            places.push(Place::own(format!("end {nth}")));
            if house.is_granular() {
                places.push(Place::own(format!("alone {nth} {}", records + calls.len() - 1)));
            }
        }
        records += calls.len();
    }
    places
}

/// One job whose process is killed after each event of each answer: one process for each event, and one that ends.
async fn killed_after_each_event(house: &House) {
    let dir = folder();
    let mut left = Recorded::default();
    for (nth, events) in house.events.iter().enumerate() {
        for event in 1..=*events {
            // The last process may have finished the job.
            if left.questions <= nth {
                let place = Place::Wire(Hold::Answer(nth + 1 - left.questions, event));
                let what = format!("{} killed at event {event} of answer {}", house.program, nth + 1);
                left = killed_at(house, dir.path(), place, &left, &what).await;
            }
        }
    }
    house.goes_on(dir.path(), &left, How::default(), &house.program).await;
}

#[tokio::test]
async fn process_killed_at_any_request_or_tool_call_repeats_nothing_recorded() {
    let Some(house) = House::open("compares granular").await else { return };
    killed_at_each(&house, places(&house)).await;
}

#[tokio::test]
async fn process_killed_in_a_turn_that_is_one_checkpoint_repeats_only_that_turn() {
    let Some(house) = House::open("compares coarse").await else { return };
    killed_at_each(&house, places(&house)).await;
}

#[tokio::test]
async fn process_killed_after_any_stream_event_repeats_only_that_request() {
    let Some(house) = House::open("compares granular streamed").await else { return };
    killed_after_each_event(&house).await;
}

#[tokio::test]
async fn process_killed_after_any_event_of_a_streamed_turn_repeats_only_that_turn() {
    let Some(house) = House::open("compares coarse streamed").await else { return };
    killed_after_each_event(&house).await;
}

#[tokio::test]
async fn process_killed_while_a_run_streams_repeats_nothing_recorded() {
    let Some(house) = House::open("compares granular streamed").await else { return };
    killed_at_each(&house, (1..=house.heard).map(|nth| Place::own(format!("heard {nth}"))).collect()).await;
}

#[tokio::test]
async fn interrupted_agent_resumes_in_a_process_that_only_opens_the_store() {
    for program in ["compares granular", "compares coarse"] {
        let Some(house) = House::open(program).await else { return };
        for stop in ["ask 1", "end 2", "answered 3", "between", "begin 6"] {
            let what = format!("{program} killed at `{stop}`");
            let dir = folder();
            let left = killed_at(&house, dir.path(), Place::own(stop), &Recorded::default(), &what).await;
            house.goes_on(dir.path(), &left, How { word: "waits", ..How::default() }, &what).await;
        }
    }
}

/// Kills processes at random moments, one after another, and lets the last one end.
async fn killed_at_random(program: &str) {
    let Some(house) = House::open(program).await else { return };
    let seeds = match std::env::var("KITARU_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=10).collect::<Vec<u64>>(),
    };
    let undisturbed = folder();
    let begun = Instant::now();
    house.begin(undisturbed.path(), How::default()).end();
    let whole = begun.elapsed();

    let mut kills = 0;
    for seed in &seeds {
        let dir = folder();
        let mut left = Recorded::default();
        for nth in 0..4 {
            let what = format!("KITARU_SEED={seed}: {program}, process {nth}");
            let random = blake3::hash(format!("{seed} {nth}").as_bytes()).as_bytes()[0];
            // Most of them before their end; the next process resumes there.
            let delay = whole * u32::from(random) / 512;
            let notes = noted(dir.path()).len();
            let (_, code) = house.begin(dir.path(), How { dies_in: Some(delay), ..How::default() }).end();
            kills += usize::from(code.is_none());
            left = house.left(dir.path(), &left, &noted(dir.path())[notes..], &what).await;
        }
        house.goes_on(dir.path(), &left, How::default(), &format!("KITARU_SEED={seed}: {program}")).await;
    }
    println!("{kills} were killed");
    assert!(kills >= seeds.len() / 2, "only {kills} were killed");
}

#[tokio::test]
async fn agent_killed_repeatedly_at_any_moment_has_the_undisturbed_result() {
    killed_at_random("compares granular").await;
}

#[tokio::test]
async fn streaming_agent_killed_repeatedly_has_the_undisturbed_result() {
    killed_at_random("compares granular streamed").await;
}

#[tokio::test]
async fn agent_in_turn_mode_killed_repeatedly_has_the_undisturbed_result() {
    killed_at_random("compares coarse").await;
}
