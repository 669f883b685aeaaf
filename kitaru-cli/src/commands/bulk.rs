//! `kitaru cancel` and `kitaru resume`, of one execution or of many.

use std::fmt::Write as _;

use kitaru_control::text::count;
use kitaru_control::{ClientError, api};

use crate::args::{Bulk, Cancel, Resume};
use crate::failure::Failure;
use crate::output::{done, print, print_json};
use crate::target::Store;
use crate::text;

/// How many executions of each kind are printed.
const PRINTED: usize = 10;
/// How many executions one question is about.
const PAGE: u32 = 100;
/// How many are counted at a time, where nothing is changed.
const DRY_PAGE: u32 = 1_000;

pub(super) async fn cancel(store: &Store, cancel: Cancel, json: bool) -> Result<(), Failure> {
    let Cancel { bulk, without_undo } = cancel;
    if let Some(execution) = single(&bulk, "cancel")? {
        let target = store.find(execution).await?;
        store.client.cancel(&target.flow, &target.id, api::Cancel { without_undo }).await?;
        return done(json, &format!("cancelled {}", target.name()));
    }
    let (all, dry_run) = (bulk.all, bulk.dry_run);
    let ask =
        async |executions| store.client.cancel_many(&api::CancelMany { executions, all, dry_run, without_undo }).await;
    report(&pages(&bulk, ask).await?, dry_run, json, ("cancel", "cancelled"))
}

pub(super) async fn resume(store: &Store, resume: Resume, json: bool) -> Result<(), Failure> {
    let Resume { bulk, forget, after } = resume;
    if let Some(execution) = single(&bulk, "resume")? {
        let target = store.find(execution).await?;
        store.client.resume(&target.flow, &target.id, &api::Resume { forget, after }).await?;
        return done(json, &format!("resumed {}", target.name()));
    }
    let (all, dry_run) = (bulk.all, bulk.dry_run);
    let ask = async |executions| store.client.resume_many(&api::ResumeMany { executions, all, dry_run }).await;
    report(&pages(&bulk, ask).await?, dry_run, json, ("resume", "resumed"))
}

/// The one execution that is meant, if it is one.
fn single<'a>(bulk: &'a Bulk, verb: &str) -> Result<Option<&'a str>, Failure> {
    let Bulk { execution, filter, all, .. } = bulk;
    match (execution, filter.is_empty()) {
        (Some(execution), true) => Ok(Some(execution)),
        (None, false) => Ok(None),
        (None, true) if *all => Ok(None),
        (Some(execution), false) => Err(Failure::Usage(format!(
            "cannot {verb} {} with filters: it is one execution; leave out the filters, or the execution",
            text::plain(execution)
        ))),
        (None, true) => Err(Failure::Usage(format!(
            "cannot {verb} executions: neither an execution nor a filter is given; give one, or --all"
        ))),
    }
}

/// Asks for one page after another, until there is none left.
async fn pages(
    bulk: &Bulk,
    ask: impl AsyncFn(api::ListQuery) -> Result<api::ManyDone, ClientError>,
) -> Result<api::ManyDone, Failure> {
    let mut query = bulk.filter.query();
    query.limit = Some(if bulk.dry_run { DRY_PAGE } else { PAGE });
    let mut all = api::ManyDone::default();
    loop {
        let page = ask(query.clone()).await?;
        all.done.extend(page.done);
        all.skipped.extend(page.skipped);
        all.failed.extend(page.failed);
        all.looked_at += page.looked_at;
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// Prints what was done.
fn report(all: &api::ManyDone, is_dry: bool, json: bool, (verb, past): (&str, &str)) -> Result<(), Failure> {
    match json {
        true => print_json(all)?,
        false => print(&written(all, is_dry, verb, past))?,
    }
    match (&*all.done, &*all.failed) {
        (_, []) => Ok(()),
        (done, failed) => Err(Failure::Failed(format!(
            "cannot {verb} {} of {} executions: the errors are above; try again",
            count(failed.len() as u64),
            count((done.len() + failed.len()) as u64)
        ))),
    }
}

fn written(all: &api::ManyDone, is_dry: bool, verb: &str, past: &str) -> String {
    let mut text = match is_dry {
        true => format!("would {verb} {}\n", executions(all.done.len())),
        false => format!("{past} {}\n", executions(all.done.len())),
    };
    if is_dry {
        for done in all.done.iter().take(PRINTED) {
            let _ = writeln!(text, "  {}", text::name(&done.flow, &done.id));
        }
        more(&mut text, all.done.len());
    }
    for (what, style, not_done) in [("skipped", text::FAINT, &all.skipped), ("failed", text::BAD, &all.failed)] {
        if not_done.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{} {}", text::styled(style, what), executions(not_done.len()));
        for api::NotDone { error, .. } in not_done.iter().take(PRINTED) {
            let _ = writeln!(text, "  {}", text::plain(error));
        }
        more(&mut text, not_done.len());
    }
    text
}

fn more(text: &mut String, all: usize) {
    if let Some(more @ 1..) = all.checked_sub(PRINTED) {
        let _ = writeln!(text, "  … and {} more", count(more as u64));
    }
}

fn executions(number: usize) -> String {
    match number {
        1 => "1 execution".to_owned(),
        number => format!("{} executions", count(number as u64)),
    }
}
