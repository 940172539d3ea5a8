//! An application at work on the other system's tables: it asks at fixed moments, whether or not the last answer has come, and each wait counts
//! from the moment it was due.

use crate::company::{Company, connect};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;

const CONNECTIONS: u64 = 8;

#[derive(Default)]
struct Waits {
    looks: Vec<Duration>,
    writes: Vec<Duration>,
}

pub struct Application {
    waits: Arc<Mutex<Waits>>,
}

/// A number that looks drawn.
fn drawn(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

async fn work(url: String, users: u64, seed: u64, pause: Duration, waits: Arc<Mutex<Waits>>) {
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
        let user = (drawn(&mut state) % users + 1) as i64;
        let (statement, is_look) = match drawn(&mut state) % 10 {
            0 => (&sign_in, false),
            1 => (&order, false),
            _ => (&look, true),
        };
        let parameters: [&(dyn ToSql + Sync); 1] = [&user];
        client.query(statement, &parameters).await.expect("the application is answered");
        let mut waits = waits.lock().expect("waits");
        let kind = if is_look { &mut waits.looks } else { &mut waits.writes };
        kind.push(due.elapsed());
        drop(waits);
        due += pause;
    }
}

impl Application {
    /// Begins to work; eight connections share so many questions a second, of which a fifth write.
    pub async fn start(company: &Company, a_second: u64) -> Self {
        let waits = Arc::new(Mutex::new(Waits::default()));
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / a_second as f64);
        for seed in 1..=CONNECTIONS {
            tokio::spawn(work(company.other.clone(), company.users, seed, pause, waits.clone()));
        }
        Self { waits }
    }

    /// Prints how long it waited since this was asked last: all questions, those that look and those that write.
    pub fn told(&self, when: &str) {
        let Waits { looks, writes } = std::mem::take(&mut *self.waits.lock().expect("waits"));
        let all = looks.iter().chain(&writes).copied().collect();
        for (kind, mut waits) in [("", all), ("  looks", looks), ("  writes", writes)] {
            waits.sort_unstable();
            let at = |part: f64| waits.get((waits.len() as f64 * part) as usize).map_or(0.0, |wait: &Duration| wait.as_secs_f64() * 1e3);
            let (half, most, worst) = (at(0.5), at(0.99), at(0.999));
            println!("{when}{kind}: {} questions, p50 {half:.2} ms, p99 {most:.2} ms, p99.9 {worst:.2} ms", waits.len());
        }
    }
}
