//! The baseline of `cargo xtask bench http`: what axum costs when a handler does nothing. `/empty` answers at once and never looks
//! at the body; `/reading` takes the body first. Prints its address, serves until it is ended.

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use axum::serve::ListenerExt;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

type Fixed = ([(HeaderName, &'static str); 1], &'static str);

const ANSWER: Fixed = ([(CONTENT_TYPE, "application/json")], r#"{"decision":true}"#);

async fn empty() -> Fixed {
    ANSWER
}

async fn reading(_body: Bytes) -> Fixed {
    ANSWER
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route("/empty", any(empty)).route("/reading", any(reading));
    axum::serve(listener, router).await
}
