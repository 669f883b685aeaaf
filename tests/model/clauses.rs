//! Single clauses that the longer tests leave out.

use kitaru::{Error, Status, checkpoint, flow, undo};

use crate::support::{ends, log, memory};

#[flow]
async fn draws_three_times(path: String) -> Result<Vec<String>, Error> {
    let _ = path;
    Ok((0..3).map(|_| format!("{} {}", kitaru::random(), kitaru::uuid())).collect())
}

#[tokio::test]
async fn draws_of_one_execution_differ_from_each_other() {
    let (kitaru, _) = memory().await;
    let mut drawn = draws_three_times("draws".into()).on(&kitaru).await.unwrap();
    let words: Vec<String> =
        drawn.drain(..).flat_map(|pair| pair.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut different = words.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), words.len(), "{words:?}");
}

#[checkpoint]
async fn free(path: &str, seat: u32) -> Result<(), Error> {
    log(path).say(format!("free {seat}"));
    Ok(())
}

#[flow]
async fn panics_in_its_own_code(path: String) -> Result<(), Error> {
    for seat in 1..=2 {
        let at = path.clone();
        undo(move || async move { free(&at, seat).await });
    }
    assert!(path.is_empty(), "the flow itself is on fire");
    Ok(())
}

#[tokio::test]
async fn flow_that_panics_in_its_own_code_is_undone() {
    let (kitaru, _) = memory().await;
    let path = "clauses: panics";
    let error = ends(panics_in_its_own_code(path.into()).id("job").on(&kitaru)).await.unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("on fire"), "{error}");
    assert_eq!(log(path).take(), ["free 2", "free 1"]);
    let execution = kitaru.execution(("panics_in_its_own_code", "job")).await.unwrap().unwrap();
    assert_eq!(execution.status(), Status::Failed);
}
