//! SIGKILL at chosen points and at random points.

use std::path::Path;
use std::time::{Duration, Instant};

use kitaru::Kitaru;

use crate::process::{folder, result, run};
use crate::programs::{FILLED, NAP};
use crate::{copied, count, noted, refuse_second_runs};

/// Runs a program, kills it where it stops, and runs it again to its end. Returns its result.
fn killed(program: &str, dir: &Path, stop: &str) -> String {
    let mut process = run(program, dir, stop);
    process.wait_for("stopped");
    process.kill();
    result(program, dir)
}

#[test]
fn a_process_killed_between_two_checkpoints_leaves_the_first_one_done() {
    for n in 0..12 {
        let dir = folder();
        assert_eq!(killed("steps", dir.path(), &format!("after {n}")), "660");
        let notes = noted(dir.path());
        for step in 0..12 {
            assert_eq!(count(&notes, &format!("ran {step}")), 1, "killed after {n}: {notes:?}");
        }
    }
}

#[test]
fn a_process_killed_in_a_body_runs_that_body_again_and_no_other() {
    for n in 0..12 {
        let dir = folder();
        assert_eq!(killed("steps", dir.path(), &format!("in {n}")), "660");
        let notes = noted(dir.path());
        for step in 0..12 {
            let runs = if step == n { 2 } else { 1 };
            assert_eq!(count(&notes, &format!("ran {step}")), runs, "killed in {n}: {notes:?}");
        }
    }
}

#[test]
fn process_killed_repeatedly_at_any_moment_has_the_undisturbed_result() {
    let results = |said: Vec<String>| said.into_iter().filter(|line| line.starts_with("result")).collect::<Vec<_>>();
    let undisturbed = folder();
    let (said, code) = run("crowd", undisturbed.path(), "").end();
    assert_eq!(code, Some(0), "{said:?}");
    let expected = results(said);
    assert_eq!(expected.len(), 16);

    let seeds = match std::env::var("KITARU_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=6).collect::<Vec<u64>>(),
    };
    for seed in seeds {
        let what = format!("KITARU_SEED={seed}");
        let dir = folder();
        let mut kills = 0;
        let found = loop {
            let mut process = run("crowd", dir.path(), "");
            // Of the approximately five hundred lines that it prints.
            let lines = usize::from(blake3::hash(format!("{seed} {kills}").as_bytes()).as_bytes()[0]);
            let mut read = if kills < 40 { process.read(lines) } else { Vec::new() };
            if kills < 40 && read.len() == lines {
                process.kill();
                kills += 1;
                refuse_second_runs(&noted(dir.path()), &what);
                continue;
            }
            let (said, code) = process.end();
            assert_eq!(code, Some(0), "{what}: {said:?}");
            read.extend(said);
            break results(read);
        };
        assert!(kills > 2, "{what}: it was killed {kills} times");
        refuse_second_runs(&noted(dir.path()), &what);
        // The last process may have printed some of them before the wait.
        assert!(!found.is_empty() && found.iter().all(|line| expected.contains(line)), "{what}: {found:?}");
        let (said, _) = run("crowd", dir.path(), "").end();
        assert_eq!(results(said), expected, "{what}, and every result is recorded");
    }
}

#[test]
fn error_that_the_flow_received_is_tried_again_unless_it_is_settled() {
    let dir = folder();
    assert_eq!(killed("errors", dir.path(), "seen"), "1001", "it was tried again, and succeeded");
    assert_eq!(count(&noted(dir.path()), "ran fails_once"), 2);

    let dir = folder();
    assert_eq!(killed("errors", dir.path(), "in 100"), "1002", "it is the same error");
    assert_eq!(count(&noted(dir.path()), "ran fails_once"), 1);
}

#[test]
fn at_most_once_body_is_not_run_again_after_a_kill() {
    let dir = folder();
    assert_eq!(killed("pays", dir.path(), "in pay"), "interrupted");
    assert_eq!(count(&noted(dir.path()), "ran pay"), 1);
}

#[test]
fn time_and_chance_are_the_same_after_a_kill() {
    let dir = folder();
    let mut process = run("chances", dir.path(), "in 200");
    let mut first = String::new();
    while !first.starts_with("chance ") {
        first = process.line();
    }
    process.wait_for("stopped");
    process.kill();
    let chance = |said: Vec<String>| said.into_iter().find(|line| line.starts_with("chance ")).unwrap();
    assert_eq!(chance(run("chances", dir.path(), "").end().0), first);
    assert_ne!(chance(run("chances", folder().path(), "").end().0), first, "another store has another chance");
}

#[test]
fn process_killed_in_a_wait_leaves_the_rest_of_it_to_the_next_one() {
    let dir = folder();
    let waited: u64 = killed("naps", dir.path(), "asleep").parse().unwrap();
    assert_eq!(noted(dir.path()).iter().filter(|note| *note == "gets up").count(), 1);
    assert!(waited >= NAP.as_millis() as u64, "{waited} ms");
    // Twice the wait would mean that it began from the start.
    assert!(waited < 2 * NAP.as_millis() as u64, "{waited} ms");
}

#[test]
fn undo_cut_off_by_a_kill_is_completed_by_the_next_process() {
    for stop in ["in 1", "failing", "in take_back 2", "in take_back 0"] {
        let dir = folder();
        assert_eq!(killed("undoes", dir.path(), stop), "sold out");
        let notes = noted(dir.path());
        for n in 0..3 {
            let runs = |line: String| if stop.ends_with(&line) { 2 } else { 1 };
            assert_eq!(count(&notes, &format!("ran {n}")), runs(format!("in {n}")), "{stop}: {notes:?}");
            let line = format!("take_back {n}");
            assert_eq!(count(&notes, &format!("ran {line}")), runs(line), "{stop}: {notes:?}");
        }
    }
}

#[test]
fn message_to_a_waiting_flow_arrives_once_however_often_its_process_is_killed() {
    let dir = folder();
    for stop in ["asked", "answered", "told"] {
        let mut process = run("answers", dir.path(), stop);
        process.wait_for("stopped");
        process.kill();
    }
    let (said, code) = run("answers", dir.path(), "").end();
    assert_eq!(code, Some(0), "{said:?}");
    let result: u64 = said.iter().find_map(|line| line.strip_prefix("result ")).unwrap().parse().unwrap();
    assert_eq!(result, 3_210 + 4_000, "{said:?}");
    assert_eq!(count(&noted(dir.path()), "ran 400"), 1);
}

#[test]
fn interrupted_execution_resumes_in_a_process_that_only_opens_the_store() {
    for (program, stop, ran) in [("steps", "in 5", "ran 11"), ("naps", "asleep", "gets up")] {
        let dir = folder();
        let mut process = run(program, dir.path(), stop);
        process.wait_for("stopped");
        process.kill();
        let (said, code) = run("recovers", dir.path(), "").end();
        assert_eq!(code, Some(0), "{said:?}");
        assert_eq!(count(&noted(dir.path()), ran), 1);
    }
}

#[test]
fn a_process_that_is_being_replaced_hands_its_store_over_when_it_ends() {
    let dir = folder();
    let mut first = run("holds", dir.path(), "");
    first.wait_for("held");

    let (said, code) = run("holds", dir.path(), "50").end();
    assert_eq!(code, Some(1), "{said:?}");
    let message = said.iter().find(|line| line.starts_with("error")).unwrap();
    assert!(message.contains(&format!("process {}", first.id())) && message.contains("50ms"), "{message}");

    let mut second = run("holds", dir.path(), "60000");
    first.kill();
    second.wait_for("held");
    second.kill();
}

/// The shortest of several measurements: on a busy machine the others measure the load.
async fn shortest(mut take: impl AsyncFnMut() -> Duration) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..9 {
        shortest = shortest.min(take().await);
    }
    shortest
}

/// The time to open a store. The store is closed again.
async fn opening(dir: &Path) -> Duration {
    let start = Instant::now();
    let kitaru = Kitaru::builder().dir(dir).recovery(kitaru::Recovery::Manual).open().await.unwrap();
    let took = start.elapsed();
    kitaru.close().await.unwrap();
    took
}

#[tokio::test]
async fn store_killed_under_load_opens_within_its_bound_and_immediately_after_that() {
    let dir = folder();
    let mut process = run("fills", dir.path(), "");
    process.wait_for("filled");
    process.kill();
    let store = dir.path().join("store");

    // The promise is the replay of a log of two segments at most, without work for each record.
    let repair = shortest(async || {
        let copy = copied(&store);
        let start = Instant::now();
        drop(redb::Database::open(copy.path().join("store.redb")).unwrap());
        start.elapsed()
    })
    .await;
    let empty = shortest(async || opening(folder().path()).await).await;
    let after_kill = shortest(async || opening(copied(&store).path()).await).await;
    opening(&store).await;
    let after_close = shortest(async || opening(&store).await).await;
    println!(
        "{FILLED} records: {after_kill:?} after a kill under load, {after_close:?} after a close; a repair by redb alone \
         {repair:?}, an empty store {empty:?}"
    );
    let most = 5 * (repair + empty);
    // Of two full segments, in a build without optimisations.
    let replay = Duration::from_millis(500);
    assert!(after_kill < most + replay, "{after_kill:?}, where redb alone takes {repair:?}");
    // A file of this size is verified whenever it is opened.
    assert!(after_close < most, "{after_close:?}, where redb alone takes {repair:?}");
}
