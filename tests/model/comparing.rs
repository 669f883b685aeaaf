//! Two executions, compared record by record.

use kitaru::{DiffState, Error, checkpoint, flow};

use crate::support::{ends, log, memory};

#[checkpoint]
async fn step(n: u32) -> Result<u32, Error> {
    Ok(n * 10)
}

#[checkpoint(codec = "json")]
async fn says(word: &str) -> String {
    word.to_owned()
}

#[checkpoint(sensitive)]
async fn secret(path: &str) -> u64 {
    log(path).count("another") as u64
}

#[flow]
async fn compared(path: String, n: u32) -> Result<u32, Error> {
    let first = step(1).await?;
    says("calm").await;
    if n > 1 {
        says("storm").await;
    }
    let second = step(n).await?;
    secret(&path).await;
    if n == 1 {
        says("rain").named("last").await;
    }
    Ok(first + second)
}

#[tokio::test]
async fn records_of_two_executions_are_equal_changed_missing_or_added() {
    let (kitaru, _) = memory().await;
    let path = "comparing: states";
    compared(path.into(), 1).id("one").on(&kitaru).await.unwrap();
    log(path).say("another");
    compared(path.into(), 2).id("two").on(&kitaru).await.unwrap();
    let [one, two] = ["one", "two"].map(|id| kitaru.execution(("compared", id)));
    let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
    let diff = one.diff(&two);
    let states: Vec<_> = diff.records().iter().map(|record| (record.name(), record.state())).collect();
    let expected = [
        ("step", DiffState::Equal),
        ("says", DiffState::Equal),
        ("says_2", DiffState::Added),
        ("step_2", DiffState::Changed),
        ("secret", DiffState::Changed),
        ("last", DiffState::Missing),
    ];
    assert_eq!(states, expected);
    assert_eq!(diff.records()[3].arguments(), [("n", "1", "2")]);
    assert!(diff.records()[3].has_other_outcome() && !diff.records()[0].has_other_outcome());
    assert!(diff.records()[4].arguments().is_empty() && diff.records()[4].has_other_outcome());
    assert!(!diff.has_same_input() && !diff.has_same_result());
    let same = one.diff(&one);
    assert!(same.records().iter().all(|record| record.state() == DiffState::Equal));
    assert!(same.has_same_input() && same.has_same_result());
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["records"][3]["state"], "changed");
    assert_eq!(json["records"][4]["second"]["value"], serde_json::json!({ "sensitive": true }));

    // The same value in two forms.
    let fork = kitaru.fork(("compared", "one")).set("step", 10).by_key().start().await.unwrap();
    ends(compared(path.into(), 1).id(fork.id()).on(&kitaru)).await.unwrap();
    let fork = kitaru.execution(&fork).await.unwrap().unwrap();
    assert!(one.diff(&fork).records().iter().all(|record| record.state() == DiffState::Equal));
}
