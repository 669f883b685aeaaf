//! Histories that are forked.

use kitaru::testkit::{self, Testkit};
use kitaru::{Error, History, Status, checkpoint, flow};

#[checkpoint]
async fn classify(mail: &str) -> Result<String, Error> {
    Ok(format!("urgent: {mail}"))
}

#[checkpoint]
async fn reply(class: &str, seed: u64) -> Result<String, Error> {
    Ok(format!("we know, {class} ({seed})"))
}

#[checkpoint(sensitive)]
async fn address() -> String {
    "ada@example.com".to_owned()
}

#[flow]
async fn support(mail: String, private: bool) -> Result<String, Error> {
    let class = classify(&mail).await?;
    if private {
        address().await;
    }
    reply(&class, kitaru::random()).await
}

async fn history(private: bool) -> (History, String) {
    let kit = Testkit::new();
    let said = kit.run(support("no heating".into(), private).id("job")).await.unwrap();
    let text = kit.kitaru().export(("support", "job")).await.unwrap().to_string();
    (text.parse().unwrap(), said)
}

#[tokio::test]
async fn history_is_forked_in_another_store_and_its_records_answer() {
    let (history, said) = history(false).await;
    let kit = Testkit::new();
    let fork = kit.fork(testkit::fork(&kit, &history).await.unwrap().by_key().id("same")).await.unwrap();
    assert_eq!(fork.id(), "same");
    let call = || support("no heating".into(), false);
    assert_eq!(kit.run(call().id("same")).await.unwrap(), said, "with its random values");
    assert_eq!((kit.executed("classify"), kit.executed("reply")), (0, 0));

    kit.stub("reply", |_| serde_json::json!("another prompt"));
    let request = kit.kitaru().fork(("support", "job")).from("reply");
    let fork = kit.fork(request).await.unwrap();
    assert_eq!(kit.run(call().id(fork.id())).await.unwrap(), "another prompt");
    assert_eq!((kit.executed("classify"), kit.executed("reply")), (0, 1));
    let original = kit.kitaru().execution(("support", "job")).await.unwrap().unwrap();
    assert_eq!(original.status(), Status::Cancelled, "it never runs itself");
    let fork = kit.kitaru().execution(&fork).await.unwrap().unwrap();
    let diff = original.diff(&fork);
    let states: Vec<_> = diff.records().iter().map(|record| (record.name(), record.state().to_string())).collect();
    assert_eq!(states, [("classify", "equal".to_owned()), ("reply", "changed".to_owned())]);
    assert!(diff.has_same_input() && !diff.has_same_result());
    // The history of a fork is one like any other.
    let again: History = kit.kitaru().export(("support", "same")).await.unwrap().to_string().parse().unwrap();
    testkit::replay(&again, call());
}

#[tokio::test]
async fn history_without_a_sensitive_value_is_not_forked_and_says_what_to_set() {
    let (history, said) = history(true).await;
    let kit = Testkit::new();
    let refused = testkit::fork(&kit, &history).await.unwrap_err();
    assert!(refused.is_misuse() && refused.to_string().contains("`address` is sensitive"), "{refused}");
    let history = history.with_value("address", "x@example.com").unwrap();
    kit.fork(testkit::fork(&kit, &history).await.unwrap().by_key().strict().id("fork")).await.unwrap();
    assert_eq!(kit.run(support("no heating".into(), true).id("fork")).await.unwrap(), said);
    let again = testkit::fork(&kit, &history).await.unwrap_err();
    assert!(again.is_conflict(), "{again}");
}
