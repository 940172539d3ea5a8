//! A door of another system: a page with a form and what it hides, and a way for programs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE: &str = "<form method=post><input type=\"hidden\" name=\"csrf\" value=\"t&amp;k\">\
    <input name=\"username\"><input type=\"password\" name=\"password\"></form>";

/// The door; it is open as long as the test runs.
pub struct Door {
    address: String,
    let_in: Arc<AtomicUsize>,
}

fn answer(head: &str, body: &str, password: &str) -> (String, bool) {
    let found = |status: &str, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let head_lower = head.to_lowercase();
    if head.starts_with("POST /api/login ") {
        let is_right = body.contains("\"email\":\"ann@toys.example\"")
            && body.contains(&format!("\"password\":\"{password}\""));
        return if is_right {
            (found("200 OK", "", "{\"token\": 1}"), true)
        } else {
            (found("401 No", "", ""), false)
        };
    }
    if head.starts_with("POST /login ") {
        let wanted = format!("csrf=t%26k&username=ann%40toys.example&password={password}");
        if body == wanted
            && head_lower.contains("cookie: csrf=abc")
            && head_lower.contains("referer: http://")
        {
            return (found("302 Found", "location: /home\r\n", ""), true);
        }
        return (found("200 OK", "", PAGE), false);
    }
    (found("200 OK", "set-cookie: csrf=abc; Path=/; HttpOnly\r\n", PAGE), false)
}

fn serve(mut stream: TcpStream, password: &str) -> Option<bool> {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).ok()?;
        text.extend_from_slice(&part[..count]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let (answer, is_in) = answer(head, body, password);
                stream.write_all(answer.as_bytes()).ok()?;
                stream.shutdown(Shutdown::Both).ok()?;
                return Some(is_in);
            }
        }
        if count == 0 {
            return None;
        }
    }
}

impl Door {
    pub fn open(password: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let let_in = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&let_in);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serve(stream, password) == Some(true) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { address, let_in }
    }

    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// How many were let in.
    pub fn let_in(&self) -> usize {
        self.let_in.load(Ordering::SeqCst)
    }
}
