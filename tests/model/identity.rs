//! Which wait an answer belongs to, and which record a name belongs to.

use std::time::Duration;

use kitaru::{Error, Execution, Kitaru, Resolution, Status, checkpoint, dynamic, flow, wait};

use crate::support::{disk, log, memory, names, reopen};

async fn in_time<T>(what: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what.into_future()).await.expect("it hangs")
}

async fn look(kitaru: &Kitaru, flow: &str) -> Execution {
    kitaru.execution((flow, "job")).await.unwrap().expect("it is there")
}

/// The names of the open waits, once there are as many.
async fn open(kitaru: &Kitaru, flow: &str, count: usize) -> Vec<String> {
    in_time(async {
        loop {
            let job = kitaru.execution((flow, "job")).await.unwrap();
            if let Some(job) = job.filter(|job| job.waits().len() == count && job.status() != Status::Interrupted) {
                return job.waits().iter().map(|wait| wait.name().to_owned()).collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[checkpoint]
async fn step(n: u32) -> u32 {
    n
}

#[checkpoint]
async fn step_2(n: u32) -> u32 {
    n
}

#[flow]
async fn steps(first: bool) -> Result<u32, Error> {
    if first {
        return Ok(step_2(1).await + step(2).await + step(3).await + step(4).named("step_2").await);
    }
    Ok(step(1).await + step(2).await + step_2(3).await + step(4).named("step_2_2").await)
}

#[tokio::test]
async fn visible_name_belongs_to_one_call_even_if_names_end_in_numbers() {
    let (kitaru, _) = memory().await;
    assert_eq!(steps(true).id("job").on(&kitaru).await.unwrap(), 10);
    assert_eq!(names(&kitaru, "steps", "job").await, ["step_2", "step", "step_3", "step_2_2"]);
    assert_eq!(steps(false).id("other").on(&kitaru).await.unwrap(), 10);
    assert_eq!(names(&kitaru, "steps", "other").await, ["step", "step_2", "step_2_2", "step_2_2_2"]);
}

#[flow]
async fn signs_in_turn(n: u32) -> Result<String, Error> {
    let _ = n;
    let lawyer = wait::<String>("approval_2").question("the lawyer").await?;
    let boss = wait::<String>("approval").question("the boss").await?;
    let again = wait::<String>("approval").question("the boss, of the final text").await?;
    Ok(format!("{lawyer}, {boss}, {again}"))
}

#[tokio::test]
async fn an_answer_answers_one_wait_where_the_waits_follow_one_another() {
    for park_after in [Duration::ZERO, Duration::from_secs(3_600)] {
        let kitaru = Kitaru::builder().in_memory().park_after(park_after).open().await.unwrap();
        let handle = signs_in_turn(1).id("job").on(&kitaru).start().await.unwrap();
        for (name, says) in [("approval_2", "lawyer"), ("approval", "boss")] {
            assert_eq!(open(&kitaru, "signs_in_turn", 1).await, [name]);
            in_time(kitaru.answer(&handle, name, says)).await.unwrap();
        }
        assert_eq!(open(&kitaru, "signs_in_turn", 1).await, ["approval_3"], "the third question has no answer yet");
        let error = in_time(kitaru.answer(&handle, "approval_2", "once more")).await.unwrap_err();
        assert!(error.to_string().contains("answered already"), "{error}");
        in_time(kitaru.answer(&handle, "approval_3", "no")).await.unwrap();
        assert_eq!(in_time(handle).await.unwrap(), "lawyer, boss, no");
    }
}

#[flow]
async fn orders_lines(n: u32) -> Result<(u32, u32, u32), Error> {
    let (first, second) = (wait::<u32>("line"), wait::<u32>("line"));
    let named = wait::<u32>(format!("line_{n}"));
    let (first, second, named) = tokio::join!(first, second, named);
    Ok((first?, second?, named?))
}

#[tokio::test]
async fn an_answer_answers_one_wait_of_several_that_are_open_side_by_side() {
    for park_after in [Duration::ZERO, Duration::from_secs(3_600)] {
        let kitaru = Kitaru::builder().in_memory().park_after(park_after).open().await.unwrap();
        let handle = orders_lines(2).id("job").on(&kitaru).start().await.unwrap();
        assert_eq!(open(&kitaru, "orders_lines", 3).await, ["line", "line_2", "line_2_2"]);
        for (name, answer) in [("line_2_2", 3), ("line", 1), ("line_2", 2)] {
            in_time(kitaru.answer(&handle, name, &answer)).await.unwrap();
        }
        assert_eq!(in_time(handle).await.unwrap(), (1, 2, 3));
    }
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn wire(path: &str, euros: u32) -> Result<u32, Error> {
    log(path).say("wired");
    std::future::pending::<()>().await;
    Ok(euros)
}

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn wire_2(path: &str, euros: u32) -> Result<u32, Error> {
    log(path).say("wired");
    std::future::pending::<()>().await;
    Ok(euros)
}

#[flow]
async fn pays_wires(path: String) -> Result<(u32, u32, u32), Error> {
    let (a, b, c) = tokio::join!(wire(&path, 100), wire(&path, 200), wire_2(&path, 300));
    Ok((a?, b?, c?))
}

/// An execution whose process ended during its bodies.
async fn cut_off(
    path: &str,
    bodies: usize,
    call: kitaru::FlowCall<Result<(u32, u32, u32), Error>>,
) -> (Kitaru, tempfile::TempDir) {
    let (kitaru, dir) = disk().await;
    let handle = call.id("job").on(&kitaru).start().await.unwrap();
    in_time(async {
        while log(path).count("wired") < bodies {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop(handle);
    (reopen(&dir).await, dir)
}

#[tokio::test]
async fn interrupted_bodies_are_asked_about_and_an_answer_is_about_one_of_them() {
    let path = "identity: wires";
    let (kitaru, _dir) = cut_off(path, 3, pays_wires(path.into())).await;
    let handle = pays_wires(path.into()).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(open(&kitaru, "pays_wires", 3).await, ["wire", "wire_2", "wire_2_2"]);
    for (name, euros) in [("wire_2_2", 300), ("wire_2", 200), ("wire", 100)] {
        let wait = look(&kitaru, "pays_wires").await.waits().iter().find(|wait| wait.name() == name).cloned().unwrap();
        assert_eq!(wait.metadata()["arguments"]["euros"], euros, "it is shown which call it is");
        in_time(kitaru.answer(&handle, name, &Resolution::happened(&euros).unwrap())).await.unwrap();
    }
    assert_eq!(in_time(handle).await.unwrap(), (100, 200, 300));
    assert_eq!(log(path).take().len(), 3, "none has run again");
}

#[tokio::test]
async fn answer_about_a_body_is_refused_before_its_question_is_open() {
    let path = "identity: too early";
    let (kitaru, dir) = disk().await;
    let handle = pays_wires(path.into()).id("job").on(&kitaru).start().await.unwrap();
    in_time(async {
        while log(path).count("wired") < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The body runs: an answer now is about another run.
    let happened = Resolution::happened(&1u32).unwrap();
    let error = in_time(kitaru.answer(&handle, "wire", &happened)).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("no person is asked"), "{error}");
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop((handle, kitaru));
    let kitaru = reopen(&dir).await;
    let handle = pays_wires(path.into()).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(open(&kitaru, "pays_wires", 3).await.len(), 3);
    drop(handle);
}

#[flow]
async fn hurries_wire(path: String) -> Result<(u32, u32, u32), Error> {
    wait::<bool>("begin").await?;
    Ok((wire(&path, 1).await?, 0, 0))
}

#[tokio::test]
async fn answer_about_a_body_before_it_began_has_no_effect() {
    let path = "identity: before";
    let (kitaru, dir) = disk().await;
    let handle = hurries_wire(path.into()).id("job").on(&kitaru).start().await.unwrap();
    open(&kitaru, "hurries_wire", 1).await;
    in_time(kitaru.answer(&handle, "wire", &Resolution::happened(&1u32).unwrap())).await.unwrap();
    in_time(kitaru.answer(&handle, "begin", &true)).await.unwrap();
    in_time(async {
        while log(path).count("wired") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop((handle, kitaru));
    let kitaru = reopen(&dir).await;
    let handle = hurries_wire(path.into()).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(open(&kitaru, "hurries_wire", 1).await, ["wire"], "it is asked");
    in_time(kitaru.answer(&handle, "wire", &Resolution::happened(&7u32).unwrap())).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap().0, 7);
}

#[flow]
async fn asks_twice(n: u32) -> Result<(u32, u32), Error> {
    let _ = n;
    wait::<bool>("begin").await?;
    Ok((wait("amount").await?, wait("amount").await?))
}

#[tokio::test]
async fn an_early_answer_is_that_of_the_first_wait_that_opens_under_its_name() {
    let (kitaru, dir) = disk().await;
    let handle = asks_twice(1).id("job").on(&kitaru).start().await.unwrap();
    open(&kitaru, "asks_twice", 1).await;
    in_time(kitaru.answer(&handle, "amount_2", &2)).await.unwrap();
    in_time(kitaru.answer(&handle, "amount", &1)).await.unwrap();
    let error = in_time(kitaru.answer(&handle, "amount", &3)).await.unwrap_err();
    assert!(error.to_string().contains("answered already"), "{error}");
    kitaru.close().await.unwrap();
    drop((handle, kitaru));
    let kitaru = reopen(&dir).await;
    in_time(kitaru.answer(("asks_twice", "job"), "begin", &true)).await.unwrap();
    assert_eq!(in_time(asks_twice(1).id("job").on(&kitaru)).await.unwrap(), (1, 2));
}

#[flow]
async fn records_first(n: u32) -> Result<bool, Error> {
    step(n).named("approval").await;
    wait("approval").await
}

#[tokio::test]
async fn answer_to_something_that_is_not_a_wait_is_refused_and_not_kept() {
    let (kitaru, _) = memory().await;
    let handle = records_first(1).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(open(&kitaru, "records_first", 1).await, ["approval_2"]);
    let error = in_time(kitaru.answer(&handle, "approval", &true)).await.unwrap_err();
    assert!(error.is_misuse() && error.to_string().contains("is not an open wait"), "{error}");
    in_time(kitaru.answer(&handle, "approval_2", &false)).await.unwrap();
    assert!(!in_time(handle).await.unwrap());
}

fn changes(new_code: bool) -> kitaru::FlowCall<Result<String, Error>> {
    dynamic::flow("changes").run(move || async move {
        // The new code asks something else first.
        let lawyer = if new_code { wait::<String>("approval_2").question("the lawyer").await? } else { String::new() };
        let boss = wait::<String>("approval").question("the boss").await?;
        let final_text = wait::<String>("approval").question("the final text").await?;
        Ok(format!("{lawyer}, {boss}, {final_text}"))
    })
}

#[tokio::test]
async fn an_answer_stays_with_its_wait_when_the_code_changes() {
    let (kitaru, dir) = disk().await;
    let handle = changes(false).id("job").on(&kitaru).start().await.unwrap();
    open(&kitaru, "changes", 1).await;
    in_time(kitaru.answer(&handle, "approval", "boss")).await.unwrap();
    assert_eq!(open(&kitaru, "changes", 1).await, ["approval_2"]);
    kitaru.close().grace(Duration::ZERO).await.unwrap();
    drop((handle, kitaru));
    let kitaru = reopen(&dir).await;
    // The answer arrives while no process runs it: the wait for the final text is open under this name.
    in_time(kitaru.answer(("changes", "job"), "approval_2", "final")).await.unwrap();
    let handle = changes(true).id("job").on(&kitaru).start().await.unwrap();
    let asked = in_time(async {
        loop {
            let job = look(&kitaru, "changes").await;
            if let Some(wait) = job.waits().iter().find(|wait| wait.question() == "the lawyer") {
                return wait.name().to_owned();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(asked, "approval_2_2", "the lawyer is asked under a name of its own");
    in_time(kitaru.answer(&handle, &asked, "lawyer")).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), "lawyer, boss, final");
}

#[flow]
async fn rounds(round: u32) -> Result<u32, Error> {
    let amount = wait::<u32>("amount").question(format!("round {round}")).await?;
    if round == 2 {
        return Ok(amount);
    }
    rounds(2).continue_as_new().await
}

#[tokio::test]
async fn an_answer_belongs_to_one_generation() {
    for park_after in [Duration::ZERO, Duration::from_secs(3_600)] {
        let kitaru = Kitaru::builder().in_memory().park_after(park_after).open().await.unwrap();
        let handle = rounds(1).id("job").on(&kitaru).start().await.unwrap();
        open(&kitaru, "rounds", 1).await;
        let seen = look(&kitaru, "rounds").await;
        in_time(kitaru.answer_wait(&seen.waits()[0], &1)).await.unwrap();
        in_time(async {
            while look(&kitaru, "rounds").await.waits().first().is_none_or(|wait| wait.question() != "round 2") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // A person still sees the question of the first round, which has the same name.
        let error = in_time(kitaru.answer_wait(&seen.waits()[0], &1)).await.unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains("look at it again"), "{error}");
        let seen = look(&kitaru, "rounds").await;
        assert_eq!(seen.waits().len(), 1, "the first answer is nothing to the second question");
        in_time(kitaru.answer_wait(&seen.waits()[0], &2)).await.unwrap();
        assert_eq!(in_time(handle).await.unwrap(), 2);
    }
}

#[flow]
async fn rounds_after_a_sign(round: u32) -> Result<u32, Error> {
    wait::<bool>(format!("begin {round}")).await?;
    let amount = wait::<u32>("amount").await?;
    if round == 2 {
        return Ok(amount);
    }
    rounds_after_a_sign(2).continue_as_new().await
}

#[tokio::test]
async fn early_answer_moves_along_with_continuations_until_a_wait_takes_it() {
    let (kitaru, _) = memory().await;
    let handle = rounds_after_a_sign(1).id("job").on(&kitaru).start().await.unwrap();
    open(&kitaru, "rounds_after_a_sign", 1).await;
    // Both answers are early: one for this generation, one for a wait of the next.
    in_time(kitaru.answer(&handle, "amount", &1)).await.unwrap();
    in_time(kitaru.answer(&handle, "begin 2", &true)).await.unwrap();
    in_time(kitaru.answer(&handle, "begin 1", &true)).await.unwrap();
    in_time(async {
        while look(&kitaru, "rounds_after_a_sign").await.generation() == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        open(&kitaru, "rounds_after_a_sign", 1).await,
        ["amount"],
        "the first amount was that of the first round"
    );
    in_time(kitaru.answer(&handle, "amount", &2)).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), 2);
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Receipt {
    number: u32,
    of: Vec<Bank>,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
enum Bank {
    Ours,
    Other(String),
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Plain(u32);

#[checkpoint(at_most_once, on_interrupt = "ask")]
async fn pays_with_receipt(path: &str, to: &str) -> Result<Receipt, Error> {
    let _ = to;
    log(path).say("wired");
    std::future::pending().await
}

#[checkpoint(at_most_once, on_interrupt = "ask", sensitive)]
async fn pays_secretly(path: &str, secret: &str) -> Result<Plain, Error> {
    let _ = secret;
    log(path).say("wired");
    log(path).say(kitaru::idempotency_key());
    std::future::pending().await
}

#[flow]
async fn shows_what_is_asked(path: String) -> Result<(u32, u32, u32), Error> {
    let (shown, secret) = tokio::join!(pays_with_receipt(&path, "Ada"), pays_secretly(&path, "hunter2"));
    let shown = shown?;
    Ok((shown.number, shown.of.len() as u32, secret?.0))
}

#[tokio::test]
async fn question_about_a_body_shows_the_call_and_the_schema_of_the_answer() {
    let path = "identity: asked";
    let (kitaru, _dir) = cut_off(path, 2, shows_what_is_asked(path.into())).await;
    let key = log(path).take().into_iter().find(|said| said != "wired").unwrap();
    let handle = shows_what_is_asked(path.into()).id("job").on(&kitaru).start().await.unwrap();
    assert_eq!(open(&kitaru, "shows_what_is_asked", 2).await, ["pays_secretly", "pays_with_receipt"]);
    let job = look(&kitaru, "shows_what_is_asked").await;
    let (secret, shown) = (&job.waits()[0], &job.waits()[1]);
    assert_eq!(shown.metadata()["arguments"], serde_json::json!({ "path": path, "to": "Ada" }));
    assert_eq!(shown.metadata()["idempotency_key"].as_str().unwrap().len(), 32);
    assert_eq!(secret.metadata(), serde_json::json!({ "idempotency_key": key }), "nothing sensitive is shown");

    // The schema is self-contained.
    let schema = shown.schema();
    let happened = &schema["oneOf"][0]["properties"]["happened"];
    assert_eq!(happened["properties"]["number"]["type"], "integer");
    assert_eq!(happened["properties"]["of"]["items"]["$ref"], "#/$defs/Bank");
    assert!(schema["$defs"]["Bank"].is_object());
    assert_eq!(secret.schema()["oneOf"][0]["properties"]["happened"], serde_json::json!({}), "it is not known");

    let receipt = serde_json::json!({ "happened": { "number": 7, "of": ["Ours", { "Other": "theirs" }] } });
    let error = in_time(kitaru.answer(&job, "pays_with_receipt", &serde_json::json!({ "happened": 7 }))).await;
    assert!(error.unwrap_err().is_unreadable());
    let asked = look(&kitaru, "shows_what_is_asked").await.waits()[1].clone();
    assert_eq!((asked.metadata(), asked.schema()), (shown.metadata(), schema), "it is asked on as before");
    in_time(kitaru.answer_wait(&asked, &receipt)).await.unwrap();
    in_time(kitaru.answer(&job, "pays_secretly", &serde_json::json!({ "happened": 5 }))).await.unwrap();
    assert_eq!(in_time(handle).await.unwrap(), (7, 2, 5));
}

#[tokio::test]
async fn refusal_of_an_answer_about_a_sensitive_body_quotes_nothing_of_it() {
    let path = "identity: refused";
    let (kitaru, _dir) = cut_off(path, 2, shows_what_is_asked(path.into())).await;
    let handle = shows_what_is_asked(path.into()).id("job").on(&kitaru).start().await.unwrap();
    open(&kitaru, "shows_what_is_asked", 2).await;
    let job = look(&kitaru, "shows_what_is_asked").await;
    for answer in [serde_json::json!({ "happened": "hunter2" }), serde_json::json!({ "hunter2": 5 })] {
        let error = in_time(kitaru.answer(&job, "pays_secretly", &answer)).await.unwrap_err();
        assert!(error.is_unreadable() && error.to_string().contains("does not fit"), "{error}");
        let asked = look(&kitaru, "shows_what_is_asked").await;
        let secret = &asked.waits()[0];
        assert!(secret.refused().is_some_and(|why| why.contains("does not fit")), "{secret:?}");
        assert!(!format!("{error:?} {error:#} {:?} {asked:?}", asked.waits()).contains("hunter2"), "{asked:?}");
    }
    drop(handle);
}
