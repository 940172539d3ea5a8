//! The real program, run in temporary folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod adopt;
mod adopt_ambiguous;
mod adopt_asked;
mod adopt_effect;
mod adopt_evidence;
mod adopt_fit;
mod adopt_follow;
mod adopt_forgotten;
mod adopt_framework;
mod adopt_full;
mod adopt_going_on;
mod adopt_handed_over;
mod adopt_leaving;
mod adopt_look;
mod adopt_many;
mod adopt_modules;
mod adopt_names;
mod adopt_outage;
mod adopt_place;
mod adopt_proof;
mod adopt_remembered;
mod adopt_reused;
mod adopt_run;
mod adopt_service;
mod adopt_shared;
mod adopt_stuck;
mod adopt_taken;
mod adopt_told;
mod adopt_unproved;
mod browser;
mod commands;
mod configuration;
mod crash;
mod demo;
mod documents;
mod folder;
mod guide;
mod keys;
mod legacy_door;
mod openid;
mod outage;
mod outside;
mod own_schema;
mod production;
mod program;
mod rescue;
mod rescue_doubt;
mod rescue_file;
mod scenarios;
mod serving;
mod shadow;
mod truncate;
mod users;
mod vault;
