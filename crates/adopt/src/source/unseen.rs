//! What no reader can see, because it stands in the code or the configuration of the other system: said, so that nobody relies on it.

use super::System;

/// What stands in the code or the configuration of a system, and is not read.
#[must_use]
pub const fn unseen(system: System) -> &'static [&'static str] {
    match system {
        System::RoleColumn | System::RoleTables => {
            &["what code allows or refuses whatever the role: compare with the system's own answers"]
        }
        System::Django => &[
            "authentication backends of the project's own, and permissions on single objects",
            "what is_staff opens: it is read as no right",
        ],
        System::FlaskAppbuilder => &[
            "roles in FAB_ROLES of the configuration, which replace the rows of their names",
            "the role of AUTH_ROLE_PUBLIC, which is for strangers and no right of any user",
            "roles that LDAP, OAuth or AUTH_ROLES_MAPPING give at each sign-in (AUTH_ROLES_SYNC_AT_LOGIN)",
        ],
        System::Laravel => &[
            "Gate::before, policies and gates in code, which often let a super admin do everything",
            "enable_wildcard_permission: a permission like posts.* is taken as one name",
        ],
        System::Frappe => &[
            "has_permission and permission_query_conditions of apps (hooks.py), and role profiles not yet applied",
            "Property Setters that make a type submittable or importable",
        ],
        System::Odoo => &[
            "checks in code (sudo, has_group, groups= on fields and views)",
            "companies: every user comes into one organization",
        ],
        System::Tryton => &[
            "models whose code defers to others (__access__), singletons and table queries: where no row closes them they are read as open",
            "rules of buttons and wizards",
        ],
        System::Keycloak => &[
            "roles that protocol mappers or identity providers add to tokens, and those of federated users",
            "policies of authorization services of clients",
        ],
    }
}
