//! An application at work on the other system's tables: it asks at fixed moments, whether or not the last answer has come, and each wait counts
//! from the moment it was due.

use crate::company::{Company, connect};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;

const CONNECTIONS: u64 = 8;

/// What goes on beside the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing: it is alone.
    Nothing,
    /// A command.
    Command,
    /// A command that was stopped or let go a moment ago; such waits are left out.
    Change,
}

#[derive(Default)]
struct Waits {
    looks: Vec<Duration>,
    writes: Vec<Duration>,
}

struct Noted {
    beside: Beside,
    alone: Waits,
    during: Waits,
}

pub struct Application {
    noted: Arc<Mutex<Noted>>,
}

/// A number that looks drawn.
fn drawn(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

async fn work(url: String, users: u64, seed: u64, pause: Duration, noted: Arc<Mutex<Noted>>) {
    let client = connect(&url).await;
    let look = "select email, name, role, organization_id from users where id = $1";
    let look = client.prepare(look).await.expect("a statement");
    let sign_in = client.prepare("update users set last_seen = now() where id = $1").await.expect("a statement");
    let order = "insert into orders (user_id, total, placed_at) values ($1, 10, now())";
    let order = client.prepare(order).await.expect("a statement");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut due = Instant::now() + pause.mul_f64(seed as f64 / CONNECTIONS as f64);
    loop {
        tokio::time::sleep_until(due.into()).await;
        let beside = noted.lock().expect("waits").beside;
        let user = (drawn(&mut state) % users + 1) as i64;
        let (statement, is_look) = match drawn(&mut state) % 10 {
            0 => (&sign_in, false),
            1 => (&order, false),
            _ => (&look, true),
        };
        let parameters: [&(dyn ToSql + Sync); 1] = [&user];
        client.query(statement, &parameters).await.expect("the application is answered");
        let mut noted = noted.lock().expect("waits");
        let waits = match beside {
            Beside::Nothing => Some(&mut noted.alone),
            Beside::Command => Some(&mut noted.during),
            Beside::Change => None,
        };
        if let Some(waits) = waits {
            let kind = if is_look { &mut waits.looks } else { &mut waits.writes };
            kind.push(due.elapsed());
        }
        drop(noted);
        due += pause;
    }
}

/// Half of the waits are shorter, a hundredth is longer.
fn told(when: &str, mut waits: Vec<Duration>) -> f64 {
    waits.sort_unstable();
    let at = |part: f64| waits.get((waits.len() as f64 * part) as usize).map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    println!("  {when}: {} questions, p50 {:.2} ms, p99 {:.2} ms", waits.len(), at(0.5), at(0.99));
    at(0.99)
}

impl Application {
    /// Begins to work; eight connections share so many questions a second, of which a fifth write.
    pub async fn start(company: &Company, a_second: u64) -> Self {
        let noted = Noted { beside: Beside::Nothing, alone: Waits::default(), during: Waits::default() };
        let noted = Arc::new(Mutex::new(noted));
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / a_second as f64);
        for seed in 1..=CONNECTIONS {
            tokio::spawn(work(company.other.clone(), company.users, seed, pause, noted.clone()));
        }
        Self { noted }
    }

    /// From now on this goes on beside it.
    pub fn beside(&self, beside: Beside) {
        self.noted.lock().expect("waits").beside = beside;
    }

    /// Prints how long it waited since this was asked last, alone and beside the command.
    pub fn told(&self) {
        let mut noted = self.noted.lock().expect("waits");
        let (alone, during) = (std::mem::take(&mut noted.alone), std::mem::take(&mut noted.during));
        drop(noted);
        let all = |waits: &Waits| waits.looks.iter().chain(&waits.writes).copied().collect();
        for (kind, before, while_it_ran) in [
            ("all", all(&alone), all(&during)),
            ("looks", alone.looks, during.looks),
            ("writes", alone.writes, during.writes),
        ] {
            let (one, other) = (told(&format!("{kind} alone"), before), told(&format!("{kind} beside"), while_it_ran));
            println!("  {kind}: p99 {:.2} of alone", other / one);
        }
    }
}
