//! Which store and which execution is meant. Owns how a text leads to one; must not know what is done with it.

use std::path::Path;

use kitaru_control::{Client, ClientError, api};

use crate::failure::Failure;
use crate::text;

/// How many candidates a message lists.
const CANDIDATES: u32 = 5;

/// A store.
pub(crate) struct Store {
    /// Asks the process that holds it or, where none does, this one.
    pub(crate) client: Client,
    /// Whether no process holds it.
    pub(crate) is_free: bool,
}

/// An execution, by its name.
pub(crate) struct Target {
    pub(crate) flow: String,
    pub(crate) id: String,
}

impl Store {
    /// Reaches the store in a folder.
    pub(crate) async fn reach(dir: &Path) -> Result<Self, Failure> {
        let client = Client::folder(dir);
        let is_free = client.status().await?.pid == std::process::id();
        Ok(Store { client, is_free })
    }

    /// The execution that a text means: `flow/id`, or the beginning of an id that one execution has.
    pub(crate) async fn find(&self, text: &str) -> Result<Target, Failure> {
        let named = text
            .split_once('/')
            .map(|(flow, id)| Target { flow: flow.replace("%2F", "/").replace("%25", "%"), id: id.to_owned() });
        if let Some(Target { flow, id }) = &named {
            match self.client.execution(flow, id).await {
                Ok(_) => return Ok(Target { flow: flow.clone(), id: id.clone() }),
                // An id may have a slash, too.
                Err(ClientError::Refused(problem)) if problem.code == "not_found" => {}
                Err(error) => return Err(error.into()),
            }
        }
        let query =
            api::ListQuery { id_prefix: Some(text.to_owned()), limit: Some(CANDIDATES + 1), ..Default::default() };
        let mut found: Vec<Target> = Vec::new();
        for api::Summary { flow, id, .. } in self.client.executions(&query).await?.executions {
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
                    "cannot tell which execution {text:?} is: there are {}{more}; write flow/id",
                    names.join(", ")
                )))
            }
        }
    }
}

impl Target {
    /// `flow/id`, as a parameter names it.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{}", self.flow.replace('%', "%25").replace('/', "%2F"), self.id)
    }

    pub(crate) fn name(&self) -> String {
        text::name(&self.flow, &self.id)
    }
}
