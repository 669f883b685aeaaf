//! What stands for the log of executions in a build without the feature `logs`.

use kitaru_core::ExecutionRef;

use crate::api;

pub(crate) fn read(_: &ExecutionRef, _: &api::LogsQuery) -> Option<api::Logs> {
    None
}
