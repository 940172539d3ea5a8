//! Charter beside `cedar-policy`, `regorus` and `casbin`, in one process, on one world: first every engine must give the answer of a naive
//! evaluation and of Charter's reference path to every sampled question, then all are timed in turn, and medians of the rounds compared.
//!
//! `cargo run --release --bin engines`

use charter_bench_engines::engine::{Engine, casbin::Casbin, cedar::Cedar, charter::Charter, rego};
use charter_bench_engines::world::World;
use charter_policy::Index;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const QUESTIONS: usize = 20_000;
/// Sampled questions for the slowest engine; the others are held to all.
const SAMPLED: usize = 2_000;
const ROUNDS: usize = 15;

fn main() {
    let catalogue = charter_catalogue::shipped().unwrap();
    let index = Arc::new(Index::new(&catalogue).unwrap());
    let world = World::new(&catalogue, 0x0123_4567_89ab_cdef);
    let questions = world.questions(0x5eed_1234_5678_9abc, QUESTIONS);
    let by_ids = Charter::new(&world, &index, &questions, false);
    let expected: Vec<bool> = questions.iter().map(|question| world.answer(question)).collect();
    for (at, expected) in expected.iter().enumerate().take(SAMPLED) {
        assert_eq!(
            by_ids.reference(at),
            *expected,
            "the reference path differs from the naive answer on {at}"
        );
    }
    let mut engines: Vec<Box<dyn Engine>> = vec![
        Box::new(by_ids),
        Box::new(Charter::new(&world, &index, &questions, true)),
        Box::new(rego::Machine::new(&world, &questions)),
        Box::new(rego::Interpreted::new(&world, &questions)),
        Box::new(Cedar::packed(&world, &questions)),
        Box::new(Cedar::by_the_book(&world, &questions)),
        Box::new(Casbin::cached(&world, &questions)),
        Box::new(Casbin::new(&world, &questions)),
    ];
    for engine in &mut engines {
        let sampled = if engine.name().starts_with("casbin") { SAMPLED } else { QUESTIONS };
        for (at, expected) in expected.iter().enumerate().take(sampled) {
            assert_eq!(engine.ask(at), *expected, "{} differs from the naive answer on {at}", engine.name());
        }
        println!("{:<28} gives the naive answer to {sampled} of {sampled} questions", engine.name());
    }
    let allowed = expected.iter().filter(|allowed| **allowed).count();
    println!(
        "\n{} members, {allowed} of {QUESTIONS} questions allowed; medians of {ROUNDS} interleaved rounds\n",
        world.members.len()
    );
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    for _ in 0..ROUNDS {
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            let round = engine.round();
            let begun = Instant::now();
            let mut allowed = 0u32;
            for at in 0..round {
                allowed += u32::from(engine.ask(black_box(at)));
            }
            black_box(allowed);
            times.push(begun.elapsed().as_nanos() as f64 / round as f64);
        }
    }
    let medians: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
        .collect();
    println!("{:<28} {:>12} {:>14} {:>14}", "", "ns a check", "x by ids", "x by texts");
    for (engine, median) in engines.iter().zip(&medians) {
        println!(
            "{:<28} {median:>12.1} {:>14.1} {:>14.1}",
            engine.name(),
            median / medians[0],
            median / medians[1]
        );
    }
}
