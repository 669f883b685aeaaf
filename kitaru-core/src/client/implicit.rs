//! The store that opens by itself at the first call of a flow, for scripts. It continues what is called and nothing
//! else.

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::client::builder::Recovery;
use crate::client::kitaru::Kitaru;
use crate::error::Error;

/// The folder of the implicit store, unless `KITARU_DIR` names another one. Empty it counts as not set, as a file of settings
/// leaves it.
pub(crate) const DEFAULT_DIR: &str = ".kitaru";

static KITARU: OnceCell<Kitaru> = OnceCell::const_new();

/// The implicit store, opened if it is not. A failure is not kept: the next call tries again.
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
