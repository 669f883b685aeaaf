//! The store that opens by itself at the first call of a flow, for scripts. It resumes only the executions that are called.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::client::builder::Recovery;
use crate::client::kitaru::Kitaru;
use crate::error::Error;

/// The folder of the implicit store, unless `KITARU_DIR` names another one. An empty `KITARU_DIR`, as a settings file may leave
/// it, counts as not set.
pub(crate) const DEFAULT_DIR: &str = ".kitaru";

static KITARU: OnceCell<Kitaru> = OnceCell::const_new();

/// The implicit store, opened if necessary. A failure is not kept: the next call tries again.
pub(crate) async fn kitaru() -> Result<Kitaru, Error> {
    KITARU
        .get_or_try_init(|| {
            let named = std::env::var_os("KITARU_DIR").filter(|dir| !dir.is_empty());
            let dir = named.map_or_else(|| PathBuf::from(DEFAULT_DIR), PathBuf::from);
            Kitaru::builder().dir(dir).recovery(Recovery::Manual).open()
        })
        .await
        .cloned()
}
