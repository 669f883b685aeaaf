//! The dashboard: pages made on the server. Owns which path leads to which page, and what a form does; must not know who may
//! ask.

mod assets;
mod diff;
mod execution;
mod flows;
mod fork;
mod form;
mod health;
mod layout;
mod list;
mod text;
mod value;
mod waits;

use bytes::Bytes;
use http::Method;
use kitaru_core::{ExecutionRef, Kitaru};
use maud::Markup;

use crate::api;
use crate::endpoints::{self, Action};
use crate::problem::Problem;
use crate::query::{decoded, pairs};

pub(crate) use assets::asset;
pub(crate) use layout::{login, problem};
use text::link;

/// The answer to a request for a page.
pub(crate) enum Answer {
    Page(Markup),
    /// A form was carried out: this is to be shown now.
    See(String),
    /// The stream that says when this execution moves.
    Live(ExecutionRef),
}

/// A request for a page.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: Bytes,
    pub(crate) actions: bool,
}

/// Answers a request for a page, or carries out a form.
pub(crate) async fn answer(kitaru: &Kitaru, asked: Asked<'_>) -> Result<Answer, Problem> {
    let path: Vec<_> = asked.path.split('/').skip(1).collect();
    let reads = matches!(*asked.method, Method::GET | Method::HEAD);
    match (reads, &*path) {
        (true, [""]) => Ok(list(kitaru, asked.query).await?),
        (true, ["waits"]) => Ok(Answer::Page(waits::page(&endpoints::waits(kitaru).await?, asked.actions))),
        (true, ["flows"]) => Ok(Answer::Page(flows::page(&endpoints::stats(kitaru).await?))),
        (true, ["health"]) => Ok(Answer::Page(health(kitaru, asked.actions).await?)),
        (true, ["e", flow, id]) => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let query = api::RecordsQuery::read(asked.query)?;
            let (execution, records) = endpoints::show_with_records(kitaru, &wanted, query).await?;
            Ok(Answer::Page(execution::page(&execution, &records, query, asked.actions)))
        }
        (true, ["e", flow, id, "diff"]) => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let diff = endpoints::diff(kitaru, &wanted, &api::DiffQuery::read(asked.query)?).await?;
            Ok(Answer::Page(diff::page(&diff)))
        }
        (true, ["e", flow, id, "live"]) => Ok(Answer::Live(ExecutionRef::new(decoded(flow)?, decoded(id)?))),
        (false, ["e", flow, id, "fork"]) if *asked.method == Method::POST => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let fork = fork::read(&fields(&asked.body)?)?;
            let doing = kitaru.clone();
            // Not by this task, as below.
            let done = kitaru.apart(async move { endpoints::fork(&doing, &wanted, &fork).await });
            let forked = done.await.unwrap_or_else(|| Err(Problem::closed()))?;
            Ok(Answer::See(link(&forked.flow, &forked.id)))
        }
        (false, ["e", flow, id, what]) if *asked.method == Method::POST => {
            let wanted = ExecutionRef::new(decoded(flow)?, decoded(id)?);
            let fields = fields(&asked.body)?;
            let action = action(kitaru, &wanted, what, &fields).await?;
            let doing = kitaru.clone();
            let execution = wanted.clone();
            // Not by this task: what is resumed is not to be driven by the runtime of a server.
            let done = kitaru.apart(async move { endpoints::act(&doing, execution, action).await });
            done.await.unwrap_or_else(|| Err(Problem::closed()))?;
            Ok(Answer::See(link(wanted.flow(), wanted.id())))
        }
        _ => Err(Problem::not_found("cannot find the page: there is none of this name; begin at the list")),
    }
}

async fn action(
    kitaru: &Kitaru,
    wanted: &ExecutionRef,
    what: &str,
    fields: &[(String, String)],
) -> Result<Action, Problem> {
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match what {
        "answer" => {
            let wait = field("wait").unwrap_or_default().to_owned();
            let execution = endpoints::show(kitaru, wanted, None).await?;
            let open = execution.waits.iter().find(|open| open.name == wait);
            let open = open.ok_or_else(|| {
                Problem::not_found(format!("cannot answer {wait:?}: it is not open; look at the execution"))
            })?;
            Ok(Action::Answer(api::Answer { wait, value: form::read(&open.schema, fields)? }))
        }
        "cancel" => Ok(Action::Cancel(api::Cancel { without_undo: field("without_undo").is_some() })),
        "resume" => {
            let named = |name: &str| field(name).filter(|value| !value.is_empty()).map(str::to_owned);
            Ok(Action::Resume(api::Resume { forget: named("forget").into_iter().collect(), after: named("after") }))
        }
        _ => Err(Problem::not_found("cannot read the form: no page has one of this name; begin at the list")),
    }
}

fn fields(body: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let body = std::str::from_utf8(body)
        .map_err(|_| Problem::misuse("cannot read the form: it is not UTF-8; send it again"))?;
    pairs(body).collect()
}

/// The list, narrowed by a word of the search box, by a flow and by a status.
async fn list(kitaru: &Kitaru, query: &str) -> Result<Answer, Problem> {
    let asked: Vec<_> = pairs(query).collect::<Result<_, _>>()?;
    let field = |name: &str| {
        let given = asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned());
        given.filter(|value| !value.is_empty())
    };
    let narrowed = api::ListQuery {
        search: field("q"),
        flow: field("flow"),
        status: field("status").into_iter().collect(),
        cursor: field("cursor"),
        limit: Some(50),
        ..Default::default()
    };
    if let Some(word) = &narrowed.search
        && let Ok(named) = word.parse::<ExecutionRef>()
        && endpoints::check(kitaru, &named).await.is_ok()
    {
        return Ok(Answer::See(link(named.flow(), named.id())));
    }
    let page = endpoints::list(kitaru, &narrowed).await?;
    Ok(Answer::Page(list::page(&page, &narrowed)))
}

async fn health(kitaru: &Kitaru, actions: bool) -> Result<Markup, Problem> {
    let troubled = api::ListQuery {
        status: vec!["stuck".to_owned(), "interrupted".to_owned()],
        limit: Some(20),
        ..Default::default()
    };
    Ok(health::page(&health::Health {
        status: endpoints::status(actions),
        stats: endpoints::stats(kitaru).await?,
        troubled: endpoints::list(kitaru, &troubled).await?,
    }))
}
