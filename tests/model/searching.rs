//! The search of the list: one word that is the beginning of an id, a flow, a tag, or a part of an error.

use std::collections::BTreeSet;

use kitaru::testkit::Testkit;
use kitaru::{Error, Kitaru, ListRequest, Status, flow};

use crate::support::{Rows, memory};

#[flow]
async fn invoice(card: String) -> Result<u32, Error> {
    match &*card {
        "none" => Err(Error::msg("No card was given")),
        "late" => kitaru::signal::<u32>("paid").await,
        _ => Ok(7),
    }
}

#[flow]
async fn refund(card: String) -> Result<u32, Error> {
    invoice(card).id("of-refund").await
}

async fn ids(request: ListRequest) -> Vec<String> {
    request.await.unwrap().iter().map(|summary| summary.id().to_owned()).collect()
}

async fn filled() -> Kitaru {
    let (kitaru, _) = memory().await;
    for (id, card, tag) in
        [("a-1", "visa", "web"), ("a-2", "none", "shop"), ("b-1", "none", "web"), ("web-9", "visa", "x")]
    {
        let _ = invoice(card.to_owned()).id(id).tag(tag).on(&kitaru).await;
    }
    refund("visa".to_owned()).id("a-3").on(&kitaru).await.unwrap();
    drop(invoice("late".to_owned()).id("late").on(&kitaru).start().await.unwrap());
    kitaru.cancel(("invoice", "late")).await.unwrap();
    kitaru
}

#[tokio::test]
async fn search_finds_the_beginning_of_an_id_a_flow_a_tag_and_a_part_of_an_error() {
    let kitaru = filled().await;
    assert_eq!(ids(kitaru.executions().search("a-")).await, ["a-3", "a-2", "a-1"]);
    assert_eq!(ids(kitaru.executions().search("refund")).await, ["a-3"]);
    assert_eq!(ids(kitaru.executions().search("refun")).await, [""; 0], "a flow and a tag are found whole");
    assert_eq!(ids(kitaru.executions().search("web")).await, ["web-9", "b-1", "a-1"]);
    assert_eq!(ids(kitaru.executions().search("NO CARD")).await, ["b-1", "a-2"]);
    assert_eq!(ids(kitaru.executions().search("it was cancelled")).await, ["late"]);
    assert_eq!(ids(kitaru.executions().search("")).await.len(), 7, "nothing is searched for");
    let error = kitaru.executions().search("b-1").await.unwrap()[0].error().unwrap().to_owned();
    assert_eq!(error, "No card was given");
}

#[tokio::test]
async fn search_is_combined_with_filters_and_continues_after_a_page() {
    let kitaru = filled().await;
    assert_eq!(ids(kitaru.executions().search("web").status(Status::Failed)).await, ["b-1"]);
    assert_eq!(ids(kitaru.executions().search("card").tag("shop")).await, ["a-2"]);
    assert_eq!(ids(kitaru.executions().search("a-").flow("refund")).await, ["a-3"]);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let request = kitaru.executions().search("web").limit(1);
        let page = match after {
            Some(cursor) => request.after(cursor).await.unwrap(),
            None => request.await.unwrap(),
        };
        found.extend(page.iter().map(|summary| summary.id().to_owned()));
        after = page.next_cursor();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["web-9", "b-1", "a-1"]);
}

#[tokio::test]
async fn search_looks_at_executions_with_an_error_and_says_at_how_many() {
    let kit = Testkit::new();
    let kitaru = kit.kitaru();
    let _ = invoice("none".to_owned()).id("oldest").on(kitaru).await;
    let completed: Vec<_> = (0..300).map(|n| invoice("visa".to_owned()).id(format!("{n}")).on(kitaru)).collect();
    futures::future::try_join_all(completed).await.unwrap();
    let page = kitaru.executions().search("card").await.unwrap();
    assert_eq!((page.len(), page.looked_at(), page.next_cursor()), (1, 1, None), "the others have no error");

    let failed: Vec<_> = (0..10_000).map(|n| invoice("none".to_owned()).id(format!("f{n}")).on(kitaru)).collect();
    for failed in futures::future::join_all(failed).await {
        failed.unwrap_err();
    }
    let page = kitaru.executions().search("gold").await.unwrap();
    assert_eq!((page.len(), page.looked_at()), (0, 10_000), "it stops there");
    let rest = kitaru.executions().search("gold").after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!((rest.len(), rest.looked_at(), rest.next_cursor()), (0, 1, None));
    for found_by_index in ["oldest", "refund", "no such tag"] {
        let page = kitaru.executions().search(found_by_index).status(Status::Completed).await.unwrap();
        assert_eq!((page.len(), page.next_cursor()), (0, None), "{found_by_index}");
    }
}

#[tokio::test]
async fn search_finds_the_same_without_indexes() {
    let rows = Rows::default();
    let open = async || rows.process(&kitaru::Clock::manual()).0.open().await.unwrap();
    let kitaru = open().await;
    for (nth, card) in ["visa", "none", "none", "visa"].into_iter().enumerate() {
        let tag = ["red", "green"][nth % 2];
        let _ = invoice(card.to_owned()).id(format!("job-{nth}")).tag(tag).on(&kitaru).await;
    }
    let words = ["job-1", "job", "invoice", "red", "card", "nothing"];
    let mut with_indexes = Vec::new();
    for word in words {
        with_indexes.push(ids(kitaru.executions().search(word)).await.into_iter().collect::<BTreeSet<_>>());
    }
    assert_eq!(with_indexes.iter().map(BTreeSet::len).collect::<Vec<_>>(), [1, 4, 4, 2, 2, 0]);
    rows.damage(kitaru::testkit::store::Table::Index);
    for (word, expected) in words.into_iter().zip(with_indexes) {
        assert_eq!(
            ids(kitaru.executions().search(word)).await.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{word}"
        );
    }
}
