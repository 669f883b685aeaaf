//! What a checkup finds. Owns the words of it; must not know how a store is read.

use std::fmt;

use crate::journal::Status;

/// How many findings of one kind are listed.
const MOST_LISTED: usize = 20;
/// How many of the largest executions are listed.
const LARGEST: usize = 10;

/// What [`Kitaru::checkup`](crate::Kitaru::checkup) finds in a store.
#[derive(Clone, Debug, Default)]
pub struct Checkup {
    pub(super) format: Option<u32>,
    pub(super) tables: Vec<TableSize>,
    pub(super) statuses: Vec<(Status, u64)>,
    pub(super) flows: Vec<FlowSize>,
    pub(super) largest: Vec<ExecutionSize>,
    pub(super) findings: Vec<CheckupFinding>,
    pub(super) counts: Vec<(FindingKind, u64)>,
}

/// How large a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// The name of the table, as in `docs/format.md`.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// How much the executions of a flow take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSize {
    /// The flow.
    pub flow: String,
    /// How many generations it has.
    pub generations: u64,
    /// How many records they have.
    pub records: u64,
    /// How many bytes their rows have.
    pub bytes: u64,
}

/// How much the records of one generation take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionSize {
    /// The flow.
    pub flow: String,
    /// The id.
    pub id: String,
    /// The generation.
    pub generation: u32,
    /// How many records it has.
    pub records: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What is wrong with a store, or worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A row whose checksum does not fit.
    Damaged,
    /// A row that this version cannot read.
    Malformed,
    /// A row that others lead to, and that is not there.
    Missing,
    /// An execution that cannot resume until a person decides.
    Stuck,
    /// A row that no other leads to.
    Orphaned,
    /// An execution whose attempt was cut off, and that has not resumed.
    Interrupted,
    /// A call that was recorded with other arguments before.
    Diverged,
}

impl FindingKind {
    pub(super) const ALL: [FindingKind; 7] = [
        FindingKind::Damaged,
        FindingKind::Malformed,
        FindingKind::Missing,
        FindingKind::Stuck,
        FindingKind::Orphaned,
        FindingKind::Interrupted,
        FindingKind::Diverged,
    ];

    /// Whether a person has to do something.
    pub fn is_problem(self) -> bool {
        match self {
            FindingKind::Damaged | FindingKind::Malformed | FindingKind::Missing | FindingKind::Stuck => true,
            FindingKind::Orphaned | FindingKind::Interrupted | FindingKind::Diverged => false,
        }
    }

    /// What to do.
    pub fn advice(self) -> &'static str {
        match self {
            FindingKind::Damaged => "restore a backup, or begin the execution again with .fresh()",
            FindingKind::Malformed => "use the version that wrote it, or restore a backup",
            FindingKind::Missing => "restore a backup, or begin the execution again with .fresh()",
            FindingKind::Stuck => "mend the cause and resume it, or cancel it",
            FindingKind::Orphaned => "nothing: no program reads it",
            FindingKind::Interrupted => "open the store with a program that has the flow: it resumes there",
            FindingKind::Diverged => {
                "look whether a deployment changed the arguments; replay histories before the next one"
            }
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FindingKind::Damaged => "damaged",
            FindingKind::Malformed => "malformed",
            FindingKind::Missing => "missing",
            FindingKind::Stuck => "stuck",
            FindingKind::Orphaned => "orphaned",
            FindingKind::Interrupted => "interrupted",
            FindingKind::Diverged => "diverged",
        })
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckupFinding {
    /// Its kind.
    pub kind: FindingKind,
    /// Where: a row, a record or an execution.
    pub place: String,
    /// What is wrong there, if more is known than its kind.
    pub detail: String,
}

impl Checkup {
    /// Whether nothing is wrong: a person has to do nothing.
    pub fn is_well(&self) -> bool {
        self.counts.iter().all(|(kind, _)| !kind.is_problem())
    }

    /// The version of the store's format. None for a store in memory.
    pub fn format(&self) -> Option<u32> {
        self.format
    }

    /// How large each table is.
    pub fn tables(&self) -> &[TableSize] {
        &self.tables
    }

    /// How many generations have each status.
    pub fn statuses(&self) -> &[(Status, u64)] {
        &self.statuses
    }

    /// How much each flow takes, the largest first.
    pub fn flows(&self) -> &[FlowSize] {
        &self.flows
    }

    /// The ten generations whose records take most, the largest first.
    pub fn largest(&self) -> &[ExecutionSize] {
        &self.largest
    }

    /// What was found: at most 20 of each kind.
    pub fn findings(&self) -> &[CheckupFinding] {
        &self.findings
    }

    /// How many findings of each kind there are in all.
    pub fn counts(&self) -> &[(FindingKind, u64)] {
        &self.counts
    }

    pub(super) fn find(&mut self, kind: FindingKind, place: impl Into<String>, detail: impl Into<String>) {
        let count = match self.counts.iter().position(|(known, _)| *known == kind) {
            Some(at) => &mut self.counts[at].1,
            None => {
                self.counts.push((kind, 0));
                let last = self.counts.len() - 1;
                &mut self.counts[last].1
            }
        };
        *count += 1;
        if *count <= MOST_LISTED as u64 {
            self.findings.push(CheckupFinding { kind, place: place.into(), detail: detail.into() });
        }
    }

    pub(super) fn flow(&mut self, flow: &str) -> &mut FlowSize {
        let at = self.flows.iter().position(|known| known.flow == flow).unwrap_or_else(|| {
            self.flows.push(FlowSize { flow: flow.to_owned(), ..FlowSize::default() });
            self.flows.len() - 1
        });
        &mut self.flows[at]
    }

    pub(super) fn count(&mut self, status: Status) {
        match self.statuses.iter().position(|(known, _)| *known == status) {
            Some(at) => self.statuses[at].1 += 1,
            None => self.statuses.push((status, 1)),
        }
    }

    pub(super) fn measure(&mut self, size: ExecutionSize) {
        let at = self.largest.partition_point(|larger| larger.bytes >= size.bytes);
        self.largest.insert(at, size);
        self.largest.truncate(LARGEST);
    }

    pub(super) fn finish(mut self) -> Self {
        self.flows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.flow.cmp(&b.flow)));
        self.statuses.sort_by_key(|(status, _)| status.code());
        let rank = |kind: FindingKind| FindingKind::ALL.iter().position(|known| *known == kind);
        self.findings.sort_by_key(|finding| rank(finding.kind));
        self.counts.sort_by_key(|(kind, _)| rank(*kind));
        self
    }
}
