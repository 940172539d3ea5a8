//! The server on a real socket.

use crate::fake::{Fake, routes};
use charter_api::edge::{Bounds, Served, Settings, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Running {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Served>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server runs beside its clients; every test awaits its end"
)]
pub async fn start(bounds: Bounds) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let edge = routes().into_edge(Fake::default(), Settings::default());
    let served = tokio::spawn(async move {
        serve(listener, edge, bounds, async {
            let _ = stopped.await;
        })
        .await
    });
    Running { address, stop, served }
}

impl Running {
    pub async fn end(self) -> Served {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    pub async fn talk(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(5), read).await.expect("the server closes").unwrap();
        String::from_utf8(answer).unwrap()
    }
}

pub fn patient() -> Bounds {
    Bounds { header_timeout: Duration::from_millis(300), drain: Duration::from_secs(3), ..Bounds::default() }
}

#[tokio::test]
async fn it_answers_and_keeps_the_connection() {
    let running = start(patient()).await;
    let hello = "GET /api/v1/hello HTTP/1.1\r\nhost: x\r\n";
    let answer = running.talk(&format!("{hello}\r\n{hello}connection: close\r\n\r\n")).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert!(answer.contains("\"address\":\"127.0.0.1\""), "{answer}");
    assert_eq!(running.end().await, Served { cut_off: 0 });
}

/// Attack 113.
#[tokio::test]
async fn slow_and_silent_clients_are_closed() {
    let running = start(patient()).await;
    for text in [
        "",
        "G",
        "PRI * HT",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let answer = running.talk(text).await;
        assert_eq!(answer.contains("200 OK"), text.ends_with("\r\n\r\n"), "{text:?}: {answer}");
    }
    running.end().await;
}

/// Attacks 68 and 112.
#[tokio::test]
async fn headers_are_bounded_and_ambiguous_lengths_refused() {
    let running = start(patient()).await;
    let many: String = (0..10_000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(1_000_000));
    for headers in [many.as_str(), long.as_str()] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The server may close before it has read everything.
        let _ =
            stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes()).await;
        let mut answer = vec![0; 64];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap();
        if let Ok(read) = read {
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
    }
    for headers in
        ["content-length: 2\r\ncontent-length: 3\r\n", "content-length: 2\r\ntransfer-encoding: chunked\r\n"]
    {
        let answer =
            running.talk(&format!("POST /access/echo HTTP/1.1\r\nhost: x\r\n{headers}\r\n{{}}")).await;
        assert!(!answer.contains("200 OK"), "{headers}: {answer}");
    }
    assert!(
        running
            .talk("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .contains("200 OK")
    );
    running.end().await;
}

#[tokio::test]
async fn a_panic_does_not_close_the_connection() {
    let running = start(patient()).await;
    let body = r#"{"name":"panic"}"#;
    let post = format!(
        "POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ann\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer =
        running.talk(&format!("{post}GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
    assert!(answer.contains("HTTP/1.1 500") && answer.contains("HTTP/1.1 200 OK"), "{answer}");
    running.end().await;
}

#[tokio::test]
async fn stopping_waits_for_running_requests_and_closes_idle_ones() {
    let running = start(Bounds { header_timeout: Duration::from_secs(60), ..patient() }).await;
    let idle = TcpStream::connect(running.address).await.unwrap();
    let mut busy = TcpStream::connect(running.address).await.unwrap();
    // The handler needs 200 ms until its time is up.
    let body = r#"{"name":"slow"}"#;
    let post = format!(
        "POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ann\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    busy.write_all(post.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let address = running.address;
    let served = running.end().await;
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "the running request was answered: {answer}");
    assert_eq!(served, Served { cut_off: 0 });
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
    drop(idle);
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_begin_with_it() {
    let running = start(Bounds { header_timeout: Duration::from_secs(5), ..patient() }).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // An empty SETTINGS frame; GET /healthz as a HEADERS frame: indexed :method GET, :scheme http, literal :path, :authority.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut block = vec![0x82, 0x86, 0x04, 8];
    block.extend_from_slice(b"/healthz");
    block.extend_from_slice(&[0x01, 1, b'x']);
    stream.write_all(&[0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1]).await.unwrap();
    stream.write_all(&block).await.unwrap();
    let mut kinds = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        kinds.push(head[3]);
        if head[3] == 0 {
            assert!(String::from_utf8(payload).unwrap().contains("alive"));
            break;
        }
    }
    assert!(kinds.contains(&4) && kinds.contains(&1), "{kinds:?}");
    drop(stream);
    running.end().await;
}
