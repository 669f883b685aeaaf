//! The list of executions, its filters, and the JSON form of everything that is shown.

use std::time::{Duration, SystemTime};

use kitaru::testkit::Testkit;
use kitaru::{Clock, Cursor, Error, ExecutionRef, Kitaru, ListRequest, Status, checkpoint, flow};
use serde_json::{Value, json};

use crate::support::memory;

#[checkpoint]
async fn price(item: String) -> Result<u32, Error> {
    match &*item {
        "nothing" => Err(Error::msg("it has no price")),
        _ => Ok(7),
    }
}

#[checkpoint(sensitive)]
async fn token(_of: u32) -> String {
    "s3cr3t".to_owned()
}

#[flow]
async fn purchase(item: String) -> Result<u32, Error> {
    kitaru::log("item", &item)?;
    let price = price(item.clone()).await?;
    if item == "gold" {
        kitaru::wait::<bool>("approval").question("Buy gold?").await?;
    }
    Ok(price)
}

#[flow]
async fn basket(items: Vec<String>) -> Result<u32, Error> {
    let mut sum = 0;
    for item in items {
        sum += purchase(item.clone()).id(format!("of-basket-{item}")).await?;
    }
    token(sum).await;
    Ok(sum)
}

/// A page's ids, the newest first.
async fn ids(request: ListRequest) -> Vec<String> {
    request.await.unwrap().iter().map(|summary| summary.id().to_owned()).collect()
}

/// A store with a dozen executions of both flows, an hour between each.
async fn filled() -> (Kitaru, Vec<SystemTime>) {
    let clock = Clock::manual();
    let kitaru = Kitaru::builder().in_memory().clock(clock.clone()).open().await.unwrap();
    let mut times = Vec::new();
    for (nth, item) in ["tea", "nothing", "gold", "milk"].into_iter().enumerate() {
        times.push(clock.now());
        let started = purchase(item.to_owned()).id(format!("{item}-{nth}")).on(&kitaru).start().await.unwrap();
        if item != "gold" {
            let _ = started.await;
        }
        clock.advance(Duration::from_secs(3_600));
    }
    times.push(clock.now());
    basket(vec!["tea".to_owned(), "milk".to_owned()]).id("basket").on(&kitaru).await.unwrap();
    while kitaru.execution(("purchase", "gold-2")).await.unwrap().unwrap().status() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    (kitaru, times)
}

#[tokio::test]
async fn list_shows_executions_that_match_all_its_filters() {
    let (kitaru, times) = filled().await;
    let all = ["of-basket-milk", "of-basket-tea", "basket", "milk-3", "gold-2", "nothing-1", "tea-0"];
    assert_eq!(ids(kitaru.executions()).await, all);
    assert_eq!(ids(kitaru.executions().flow("basket")).await, ["basket"]);
    assert_eq!(ids(kitaru.executions().flow("bask")).await, [""; 0]);
    assert_eq!(ids(kitaru.executions().status(Status::Failed)).await, ["nothing-1"]);
    let open = kitaru.executions().status(Status::Failed).status(Status::Waiting);
    assert_eq!(ids(open).await, ["gold-2", "nothing-1"]);
    assert_eq!(ids(kitaru.executions().id_prefix("of-")).await, ["of-basket-milk", "of-basket-tea"]);
    assert_eq!(ids(kitaru.executions().created_from(times[3])).await, all[..4]);
    assert_eq!(ids(kitaru.executions().created_before(times[1])).await, ["tea-0"]);
    let between = kitaru.executions().created_from(times[1]).created_before(times[3]);
    assert_eq!(ids(between).await, ["gold-2", "nothing-1"]);
    assert_eq!(ids(kitaru.executions().parent(("basket", "basket"))).await, ["of-basket-milk", "of-basket-tea"]);
    assert_eq!(ids(kitaru.executions().parent(("basket", "other"))).await, [""; 0]);
    let both = kitaru.executions().flow("purchase").status(Status::Completed).id_prefix("milk");
    assert_eq!(ids(both).await, ["milk-3"]);
}

#[tokio::test]
async fn filtered_list_continues_after_a_page_and_omits_nothing() {
    let (kitaru, _) = memory().await;
    for n in 0..40 {
        let item = if n % 5 == 0 { "nothing" } else { "tea" };
        let _ = purchase(item.to_owned()).id(format!("{n:02}")).on(&kitaru).await;
    }
    let (mut found, mut after, mut pages) = (Vec::new(), None::<Cursor>, 0);
    loop {
        let failed = kitaru.executions().status(Status::Failed).limit(3);
        let page = match after {
            // A cursor can be passed on as text.
            Some(cursor) => failed.after(cursor.to_string().parse().unwrap()).await.unwrap(),
            None => failed.await.unwrap(),
        };
        pages += 1;
        found.extend(page.iter().map(|summary| summary.id().to_owned()));
        after = page.next_cursor();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["35", "30", "25", "20", "15", "10", "05", "00"]);
    assert!((3..=4).contains(&pages), "{pages} pages");
}

#[tokio::test]
async fn page_reads_a_bounded_number_of_executions_and_the_next_continues_there() {
    let kit = Testkit::new();
    let kitaru = kit.kitaru();
    purchase("nothing".to_owned()).id("oldest").on(kitaru).await.unwrap_err();
    kit.advance(Duration::from_secs(60)).await;
    let later = kitaru.executions().await.unwrap()[0].created() + Duration::from_secs(60);
    let begun: Vec<_> = (0..10_000).map(|n| purchase("tea".to_owned()).id(format!("{n}")).on(kitaru)).collect();
    futures::future::try_join_all(begun).await.unwrap();
    let oldest = || kitaru.executions().created_before(later);
    let page = oldest().await.unwrap();
    assert_eq!((page.len(), page.looked_at()), (0, 10_000), "10,000 others are newer");
    let page = oldest().after(page.next_cursor().unwrap()).await.unwrap();
    assert_eq!((page.len(), page.looked_at(), page.next_cursor()), (1, 1, None));
    for found_by_index in [
        kitaru.executions().status(Status::Failed),
        kitaru.executions().status(Status::Failed).flow("purchase"),
        kitaru.executions().id_prefix("oldest"),
        kitaru.executions().id_prefix("oldest").flow("purchase"),
    ] {
        let page = found_by_index.await.unwrap();
        assert_eq!((page.len(), page.looked_at(), page.next_cursor()), (1, 1, None), "the others are not looked at");
    }
}

#[tokio::test]
async fn execution_is_named_by_a_pair_a_handle_or_a_view() {
    let (kitaru, _) = memory().await;
    let handle = purchase("tea".to_owned()).id("job").on(&kitaru).start().await.unwrap();
    let by_handle = kitaru.execution(&handle).await.unwrap().unwrap();
    handle.await.unwrap();
    let page = kitaru.executions().await.unwrap();
    let reference: ExecutionRef = "purchase/job".parse().unwrap();
    for found in [
        kitaru.execution(("purchase", "job")).await,
        kitaru.execution(("purchase".to_owned(), "job")).await,
        kitaru.execution(&page[0]).await,
        kitaru.execution(&by_handle).await,
        kitaru.execution(&reference).await,
    ] {
        assert_eq!(found.unwrap().unwrap().reference(), reference);
    }
}

/// Fixed times in place of the times of this run.
fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let is_time = name.ends_with("_ms") || name.ends_with("_us");
                *field = if is_time && field.is_u64() { json!(0) } else { timeless(field.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn views_are_json() {
    let (kitaru, _) = filled().await;
    let summary = &kitaru.executions().flow("purchase").status(Status::Failed).await.unwrap()[0];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let created = serde_json::to_value(summary).unwrap()["created_ms"].as_u64().unwrap();
    assert!(u128::from(created) <= now + 86_400_000, "milliseconds since 1970: {created}");
    assert_eq!(
        timeless(serde_json::to_value(summary).unwrap()),
        json!({
            "flow": "purchase", "id": "nothing-1", "generation": 1, "status": "failed", "attempts": 1, "tags": [],
            "input": "item=\"nothing\"", "error": "it has no price", "created_ms": 0, "updated_ms": 0,
        })
    );
    let page = kitaru.executions().limit(1).await.unwrap();
    let json = serde_json::to_value(&page).unwrap();
    assert_eq!((json["executions"].as_array().unwrap().len(), &json["unreadable"]), (1, &json!([])));
    assert_eq!(json["next_cursor"], json!(page.next_cursor().unwrap().to_string()));

    let failed = kitaru.execution(("purchase", "nothing-1")).await.unwrap().unwrap();
    let value = json!({ "json": ["failed", ["it has no price"]] });
    assert_eq!(
        timeless(serde_json::to_value(&failed).unwrap()),
        json!({
            "flow": "purchase", "id": "nothing-1", "generation": 1, "status": "failed", "attempts": 1, "tags": [],
            "version": "", "created_ms": 0, "updated_ms": 0, "input": "item=\"nothing\"", "input_value": { "json": ["nothing"] },
            "value": value, "error": "it has no price", "undo_skipped": false, "audit": [], "metadata": { "item": "nothing" },
            "parent": null, "fork": null, "children": [], "waits": [], "pauses": [],
            "records": [{
                "name": "price", "checkpoint": "price", "status": "failed", "settled": false, "forgotten": false,
                "from_memo": false, "sensitive": false, "number": 1, "attempt": 1, "tries": 1, "failed_tries": [],
                "arguments": [{ "name": "item", "preview": "\"nothing\"" }], "metadata": {}, "started_ms": 0,
                "duration_us": 0, "preview": "it has no price", "value": value,
            }],
        })
    );

    let waiting = serde_json::to_value(kitaru.execution(("purchase", "gold-2")).await.unwrap().unwrap()).unwrap();
    assert_eq!((&waiting["status"], &waiting["value"]), (&json!("waiting"), &Value::Null));
    let bool_schema = waiting["waits"][0]["schema"].clone();
    assert_eq!(bool_schema["type"], json!("boolean"));
    assert_eq!(
        waiting["waits"],
        json!([{
            "name": "approval", "question": "Buy gold?", "schema": bool_schema, "metadata": {},
            "deadline_ms": null, "refused": null,
        }])
    );

    let basket = serde_json::to_value(kitaru.execution(("basket", "basket")).await.unwrap().unwrap()).unwrap();
    assert_eq!(
        basket["children"],
        json!([{ "flow": "purchase", "id": "of-basket-tea" }, { "flow": "purchase", "id": "of-basket-milk" }])
    );
    let token = basket["records"].as_array().unwrap().last().unwrap();
    assert_eq!((&token["sensitive"], &token["value"]), (&json!(true), &json!({ "sensitive": true })));
    assert!(!basket.to_string().contains("s3cr3t"), "{basket}");
    let child = kitaru.execution(("purchase", "of-basket-tea")).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(&child).unwrap()["parent"], json!({ "flow": "basket", "id": "basket" }));
}

#[test]
fn status_is_read_from_its_shown_form() {
    for status in ["queued", "running", "waiting", "interrupted", "completed", "failed", "cancelled", "stuck"] {
        assert_eq!(status.parse::<Status>().unwrap().to_string(), status);
    }
    let error = "done".parse::<Status>().unwrap_err().to_string();
    assert!(error.contains("`done`") && error.contains("completed"), "{error}");
}

#[checkpoint]
async fn tells() -> Option<ExecutionRef> {
    kitaru::current_execution()
}

#[flow]
async fn knows_itself(n: u32) -> Result<Vec<Option<ExecutionRef>>, Error> {
    let in_branch = kitaru::spawn(async { kitaru::current_execution() });
    let mut told = vec![kitaru::current_execution(), tells().await, in_branch.await];
    if n > 0 {
        told.extend(knows_itself(n - 1).id("child").await?);
    }
    Ok(told)
}

#[tokio::test]
async fn flow_and_its_bodies_know_which_execution_they_are_in() {
    let (kitaru, _) = memory().await;
    assert_eq!(kitaru::current_execution(), None);
    let told = knows_itself(1).id("job").on(&kitaru).await.unwrap();
    let named = |id| Some(ExecutionRef::new("knows_itself", id));
    assert_eq!(told, [named("job"), named("job"), named("job"), named("child"), named("child"), named("child")]);
}
