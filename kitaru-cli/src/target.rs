//! Which store and which execution is meant. Owns how a text leads to one; must not know what is done with it.

use std::path::Path;
use std::time::Duration;

use kitaru_control::{Client, ClientError, api};
use kitaru_core::{Kitaru, Recovery};

use crate::failure::Failure;
use crate::text;

/// The name of the socket in a store's folder.
const SOCKET: &str = "control.sock";
/// How many candidates a message lists.
const CANDIDATES: u32 = 5;

/// How long another process may hold the store for a moment, as a command does that acts.
const LOCK: Duration = Duration::from_secs(2);

/// A store.
pub(crate) struct Store {
    /// Asks the process that holds it or, where none does, this one.
    pub(crate) client: Client,
    /// The store, if this process has it open.
    own: Option<Kitaru>,
}

/// An execution, by its name.
pub(crate) struct Target {
    pub(crate) flow: String,
    pub(crate) id: String,
}

impl Store {
    /// Reaches the store in a folder: by the socket of the process that holds it or, where none does, by opening it, to read it
    /// only unless it `acts`.
    pub(crate) async fn reach(dir: &Path, acts: bool) -> Result<Self, Failure> {
        let client = Client::unix(dir.join(SOCKET));
        let silent = match client.status().await {
            Ok(_) => return Ok(Store { client, own: None }),
            Err(ClientError::Unreachable { source, .. }) => source,
            Err(error) => return Err(error.into()),
        };
        if !dir.is_dir() {
            let dir = text::plain(&dir.display().to_string());
            return Err(Failure::Unreachable(format!(
                "cannot find a store: there is no folder {dir}; name it with --dir or KITARU_DIR"
            )));
        }
        let builder = Kitaru::builder().dir(dir).lock_timeout(LOCK).recovery(Recovery::Manual);
        let opened = if acts { builder.open().await } else { builder.read_only().open().await };
        match opened {
            Ok(kitaru) => Ok(Store { client: Client::local(&kitaru), own: Some(kitaru) }),
            Err(error) if error.is_locked() => Err(Failure::Unreachable(format!(
                "cannot reach the store: the process that holds it serves no socket ({silent}); build it with the feature `control`, \
                 or end it"
            ))),
            Err(error) => Err(Failure::Unreachable(format!("{error:#}"))),
        }
    }

    /// Whether no process holds the store but this one.
    pub(crate) fn is_free(&self) -> bool {
        self.own.is_some()
    }

    /// Releases the store.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self.own {
            Some(kitaru) => kitaru.close().await.map_err(|error| Failure::Failed(format!("{error:#}"))),
            None => Ok(()),
        }
    }

    /// The execution that a text means: `flow/id`, or the beginning of an id that one execution has.
    pub(crate) async fn find(&self, text: &str) -> Result<Target, Failure> {
        let named = text
            .split_once('/')
            .map(|(flow, id)| Target { flow: flow.replace("%2F", "/").replace("%25", "%"), id: id.to_owned() });
        if let Some(Target { flow, id }) = &named
            && self.client.execution(flow, id).await.is_ok()
        {
            return Ok(Target { flow: flow.clone(), id: id.clone() });
        }
        // An id may have a slash, too.
        let query =
            api::ListQuery { id_prefix: Some(text.to_owned()), limit: Some(CANDIDATES + 1), ..Default::default() };
        let page = self.client.executions(&query).await?;
        let mut found: Vec<Target> = Vec::new();
        for api::Summary { flow, id, .. } in page.executions {
            // Generations of one execution.
            if !found.iter().any(|known| known.flow == flow && known.id == id) {
                found.push(Target { flow, id });
            }
        }
        if let Some(exact) = found.iter().position(|target| target.id == text)
            && found.iter().filter(|target| target.id == text).count() == 1
        {
            return Ok(found.swap_remove(exact));
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Failure::NotFound(match named {
                Some(named) => {
                    format!("cannot find execution {}: the store has none; look at `kitaru list`", named.name())
                }
                None => format!("cannot find an execution whose id begins with {text:?}; look at `kitaru list`"),
            })),
            _ => {
                let names: Vec<_> = found.iter().take(CANDIDATES as usize).map(Target::name).collect();
                let more = if found.len() > CANDIDATES as usize { ", …" } else { "" };
                Err(Failure::Failed(format!(
                    "cannot tell which execution {text:?} is: there are {}{more}; write more of it",
                    names.join(", ")
                )))
            }
        }
    }
}

impl Target {
    pub(crate) fn name(&self) -> String {
        text::name(&self.flow, &self.id)
    }
}
