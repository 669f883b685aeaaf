//! Which executions are meant, where that may be many. Owns the filters that commands share; must not know what is done with the
//! executions.

use kitaru_control::api;

/// The filters of the list.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filter {
    /// Only this flow
    #[arg(long)]
    flow: Option<String>,
    /// Only these statuses; may be repeated
    #[arg(long, value_parser = STATUSES)]
    status: Vec<String>,
    /// Only ids that begin with this
    #[arg(long, value_name = "PREFIX")]
    id: Option<String>,
    /// Only executions with this tag; with several, with all of them
    #[arg(long)]
    tag: Vec<String>,
    /// Only children of this execution
    #[arg(long, value_name = "FLOW/ID")]
    parent: Option<String>,
    /// Only executions whose id begins with this word, that have it as flow or tag, or in their error
    #[arg(long, value_name = "WORD")]
    search: Option<String>,
}

impl Filter {
    /// Whether it narrows nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.query() == api::ListQuery::default()
    }

    pub(crate) fn query(&self) -> api::ListQuery {
        let Filter { flow, status, id, tag, parent, search } = self;
        api::ListQuery {
            flow: flow.clone(),
            id_prefix: id.clone(),
            status: status.clone(),
            tag: tag.clone(),
            parent: parent.clone(),
            search: search.clone(),
            ..Default::default()
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// As --search
    #[arg(conflicts_with = "search")]
    pub(crate) word: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Continue behind the page that printed this
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// Print the list again every second
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,
}

/// An execution, or many.
#[derive(Debug, clap::Args)]
pub(crate) struct Bulk {
    /// flow/id, or the beginning of an id; leave it out to act on many
    pub(crate) execution: Option<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Act on all executions to which it applies
    #[arg(long, conflicts_with = "execution")]
    pub(crate) all: bool,
    /// Change nothing: print how many there are, and the first ten
    #[arg(long, conflicts_with = "execution")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) bulk: Bulk,
    /// Skip the undo steps
    #[arg(long)]
    pub(crate) without_undo: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) bulk: Bulk,
    /// Run this failed record again; may be repeated
    #[arg(long, value_name = "RECORD", requires = "execution")]
    pub(crate) forget: Vec<String>,
    /// Run everything behind this record again
    #[arg(long, value_name = "RECORD", requires = "execution")]
    pub(crate) after: Option<String>,
}

/// The statuses of executions.
const STATUSES: [&str; 9] =
    ["queued", "running", "waiting", "interrupted", "completed", "failed", "cancelled", "stuck", "continued_as_new"];
