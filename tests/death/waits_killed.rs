//! SIGKILL in each kind of wait: another process reaches the undisturbed result, and no body runs twice.

use std::path::Path;

use crate::process::{folder, result, run};
use crate::waits::ROUNDS;
use crate::{count, noted};

/// The notes of bodies.
fn bodies(dir: &Path) -> Vec<String> {
    noted(dir).into_iter().filter(|note| note.starts_with("ran")).collect()
}

fn kill_at(program: &str, dir: &Path, stop: &str) {
    let mut process = run(program, dir, stop);
    process.wait_for("stopped");
    process.kill();
}

/// Kills a program at each of its stops; then another process calls the flow again, or only opens the store. Both reach
/// the undisturbed result.
fn has_the_undisturbed_result(program: &str, stops: &[&str]) {
    let undisturbed = folder();
    let (expected, mut notes) = (result(program, undisturbed.path()), bodies(undisturbed.path()));
    notes.sort();
    for stop in stops {
        for opens_only in [false, true] {
            let dir = folder();
            kill_at(program, dir.path(), stop);
            if opens_only {
                let (said, code) = run("wakes", dir.path(), "").end();
                assert_eq!(code, Some(0), "{program} at {stop}: {said:?}");
                let mut noted = bodies(dir.path());
                noted.sort();
                assert_eq!(noted, notes, "{program} at {stop}, in a process that only opens the store");
            }
            assert_eq!(result(program, dir.path()), expected, "{program} at {stop}");
            let mut noted = bodies(dir.path());
            noted.sort();
            assert_eq!(noted, notes, "{program} at {stop}");
        }
    }
}

#[test]
fn process_killed_between_tries_leaves_the_rest_of_the_pause_and_tries() {
    has_the_undisturbed_result("persists", &["waiting"]);
    has_the_undisturbed_result("persists concurrently", &["waiting"]);
}

#[test]
fn process_killed_while_a_flow_awaits_children_leaves_all_to_the_next_one() {
    has_the_undisturbed_result("parents", &["waiting", "between"]);
}

#[test]
fn process_killed_around_a_continuation_leaves_no_generation_out() {
    has_the_undisturbed_result("continues", &["continuing 0", "waiting", "continuing 1"]);
}

#[test]
fn flow_that_keeps_continuing_as_new_finishes_however_often_it_is_killed() {
    let dir = folder();
    let mut kills = 0;
    for lines in [1, 2, 3, 5, 8, 4, 2, 1] {
        let mut process = run("rounds", dir.path(), "");
        process.wait_for("");
        if process.read(lines).len() == lines {
            process.kill();
            kills += 1;
        }
    }
    assert_eq!(result("rounds", dir.path()), (ROUNDS - 1).to_string());
    let notes = bodies(dir.path());
    for round in 0..ROUNDS {
        assert!(count(&notes, &format!("ran {}", 1_000 + round)) > 0, "round {round} was left out: {notes:?}");
    }
    assert!(kills > 2, "it was killed {kills} times");
    assert!(notes.len() <= ROUNDS as usize + kills, "a kill cuts off one body: {notes:?}");
}

#[test]
fn killed_at_most_once_body_is_asked_about_however_often_the_asker_is_killed() {
    let undisturbed = folder();
    let expected = result("charges", undisturbed.path());
    for stops in [&["asked"][..], &["asked", "asked", "resolved"]] {
        let dir = folder();
        kill_at("charges", dir.path(), "in charge");
        // A call that asks a person.
        kill_at("charges", dir.path(), "waiting");
        for stop in stops {
            kill_at("resolves", dir.path(), stop);
        }
        if stops.contains(&"resolved") {
            // The answer is durable: a process that only opens the store resumes with it.
            let (said, code) = run("wakes", dir.path(), "").end();
            assert_eq!(code, Some(0), "{said:?}");
        } else {
            assert_eq!(result("resolves", dir.path()), expected);
        }
        assert_eq!(bodies(dir.path()), bodies(undisturbed.path()), "nothing ran a second time");
        assert_eq!(result("charges", dir.path()), expected);
        assert_eq!(bodies(dir.path()), bodies(undisturbed.path()), "nothing ran a second time");
    }
}

#[test]
fn signal_for_a_later_generation_arrives_once_however_often_it_is_killed() {
    let undisturbed = folder();
    let expected = result("collects", undisturbed.path());
    let dir = folder();
    for stop in ["waiting", "waiting", "sent"] {
        kill_at("collects", dir.path(), stop);
    }
    let (said, code) = run("wakes", dir.path(), "").end();
    assert_eq!(code, Some(0), "{said:?}");
    assert_eq!(bodies(dir.path()), bodies(undisturbed.path()));
    assert_eq!(result("collects", dir.path()), expected);
}
