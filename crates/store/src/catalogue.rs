//! The catalogue: its documents as installed, and their content as rows for readers of the database. Decisions read the document.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::{PermissionCode, Timestamp};

use crate::{Result, row};

statements! {
    INSERT_DOCUMENT = "insert into catalogue_documents (kind, version, document, hash, installed_at) values ($1, $2, $3, $4, $5) \
                       on conflict (kind, version) do update set document = excluded.document, hash = excluded.hash, \
                       installed_at = excluded.installed_at";
    LATEST = "select version, document, hash, installed_at from catalogue_documents where kind = $1 \
              order by installed_at desc, version desc limit 1";
    DOCUMENTS = "select kind, version, installed_at from catalogue_documents order by kind, installed_at, version";
    PUT_MODULE = "insert into modules (module_key, name, description, always_on, scope, bundled, sort_no, retired_at) \
                  values ($1, $2, $3, $4, $5, $6, $7, null) on conflict (module_key) do update set name = excluded.name, \
                  description = excluded.description, always_on = excluded.always_on, scope = excluded.scope, \
                  bundled = excluded.bundled, sort_no = excluded.sort_no, retired_at = null";
    PUT_SUBMODULE = "insert into submodules (module_key, submodule_key, name, description, retired_at) values ($1, $2, $3, $4, null) \
                     on conflict (module_key, submodule_key) do update set name = excluded.name, description = excluded.description, \
                     retired_at = null";
    PUT_PERMISSION = "insert into permissions (code, module_key, submodule_key, description, dangerous, retired_at) \
                      values ($1, $2, $3, $4, $5, null) on conflict (code) do update set submodule_key = excluded.submodule_key, \
                      description = excluded.description, dangerous = excluded.dangerous, retired_at = null";
    PUT_LIMIT = "insert into limits (limit_key, description, unit, kind, period, retired_at) values ($1, $2, $3, $4, $5, null) \
                 on conflict (limit_key) do update set description = excluded.description, unit = excluded.unit, \
                 kind = excluded.kind, period = excluded.period, retired_at = null";
    PUT_ALIAS = "insert into module_aliases (alias_lower, module_key) values ($1, $2)";
    PUT_DEPENDENCY = "insert into module_dependencies (module_key, depends_on) values ($1, $2)";
    CLEAR_ALIASES = "delete from module_aliases";
    CLEAR_DEPENDENCIES = "delete from module_dependencies";
    RETIRE_PERMISSIONS = "update permissions set retired_at = $1 where retired_at is null";
    RETIRE_SUBMODULES = "update submodules set retired_at = $1 where retired_at is null";
    RETIRE_MODULES = "update modules set retired_at = $1 where retired_at is null";
    RETIRE_LIMITS = "update limits set retired_at = $1 where retired_at is null";
    PERMISSIONS = "select code, description, dangerous, retired_at from permissions order by code";
}

/// Where a document comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// Shipped with Charter.
    Shipped,
    /// Written by the installation, beside the shipped one.
    Own,
}

impl DocumentKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Own => "own",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Shipped, Self::Own].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A catalogue document as installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueDocument {
    /// Its version.
    pub version: String,
    /// Its text.
    pub text: String,
    /// Hash of its text.
    pub hash: Vec<u8>,
    /// When it was installed.
    pub installed_at: Timestamp,
}

/// A permission as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionRow {
    /// Its code.
    pub code: PermissionCode,
    /// What it lets one do.
    pub description: String,
    /// Asks again, records before and after.
    pub dangerous: bool,
    /// When it left the catalogue.
    pub retired_at: Option<Timestamp>,
}

/// Keeps a document; the same version installed again replaces its text.
pub async fn put_document(tx: &mut Tx, kind: DocumentKind, document: &CatalogueDocument) -> Result<()> {
    let it = document;
    let params = params![kind.as_str(), it.version, it.text, it.hash, it.installed_at];
    tx.execute(&INSERT_DOCUMENT, params).await?;
    Ok(())
}

/// The document of a kind that was installed last.
pub async fn latest_document(conn: &mut Conn, kind: DocumentKind) -> Result<Option<CatalogueDocument>> {
    let map = |row: RowRef<'_>| {
        Ok(CatalogueDocument {
            version: row::text(row, 0)?,
            text: row::text(row, 1)?,
            hash: row.get_bytes(2)?.to_vec(),
            installed_at: row::time(row, 3)?,
        })
    };
    row::opt(conn, &LATEST, params![kind.as_str()], map).await
}

/// The history of documents: kind, version, time; oldest first within a kind.
pub async fn documents(conn: &mut Conn) -> Result<Vec<(DocumentKind, String, Timestamp)>> {
    let map = |row: RowRef<'_>| {
        Ok((row::word(row, 0, DocumentKind::from_word)?, row::text(row, 1)?, row::time(row, 2)?))
    };
    row::list(conn, &DOCUMENTS, &[], map).await
}

/// Makes modules, submodules, aliases, dependencies, limits and permissions those of a catalogue; what is no longer in it is retired, and stays.
/// Plans have versions of their own: see `plan.rs`.
pub async fn install(tx: &mut Tx, catalogue: &Catalogue, now: Timestamp) -> Result<()> {
    for retire in [&RETIRE_PERMISSIONS, &RETIRE_SUBMODULES, &RETIRE_MODULES, &RETIRE_LIMITS] {
        tx.execute(retire, params![now]).await?;
    }
    tx.execute(&CLEAR_ALIASES, &[]).await?;
    tx.execute(&CLEAR_DEPENDENCIES, &[]).await?;
    for (position, module) in (1i64..).zip(&catalogue.modules) {
        let scope = match module.scope {
            ModuleScope::Organization => "org",
            ModuleScope::System => "system",
        };
        let (key, name, description) = (&module.key, &module.name, &module.description);
        let params = params![key, name, description, module.always_on, scope, module.bundled, position];
        tx.execute(&PUT_MODULE, params).await?;
        for (submodule, description) in &module.submodules {
            // The document names a submodule by its key; the description says the rest.
            tx.execute(&PUT_SUBMODULE, params![key, submodule, submodule, description]).await?;
        }
        for alias in &module.legacy_keys {
            tx.execute(&PUT_ALIAS, params![alias.to_lowercase(), key]).await?;
        }
    }
    for module in &catalogue.modules {
        for needed in &module.depends_on {
            tx.execute(&PUT_DEPENDENCY, params![module.key, needed]).await?;
        }
    }
    for it in &catalogue.permissions {
        let (code, module) = (it.code.as_str(), it.code.module());
        tx.execute(&PUT_PERMISSION, params![code, module, it.submodule, it.description, it.dangerous])
            .await?;
    }
    for it in &catalogue.limits {
        let (kind, period) = (it.kind.as_str(), if it.monthly { "month" } else { "none" });
        tx.execute(&PUT_LIMIT, params![it.key, it.description, it.unit, kind, period]).await?;
    }
    Ok(())
}

/// Every permission there is or was, by code.
pub async fn permissions(conn: &mut Conn) -> Result<Vec<PermissionRow>> {
    let map = |row: RowRef<'_>| {
        Ok(PermissionRow {
            code: row::parsed(row, 0)?,
            description: row::text(row, 1)?,
            dangerous: row.get_bool(2)?,
            retired_at: row::opt_time(row, 3)?,
        })
    };
    row::list(conn, &PERMISSIONS, &[], map).await
}
