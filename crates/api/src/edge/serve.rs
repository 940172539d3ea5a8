//! The server: accepts connections, HTTP/1 and HTTP/2 on one port, bounded in number, in header size and in patience, and
//! lets running requests end when it is told to stop.

use super::gate::Gate;
use super::patience::{Pulse, Watched};
use super::pipeline::Edge;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Bounds of the server.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How long a client may take to send the headers of a request, or to take anything of an answer; an idle connection is closed after
    /// the same time. All of these may end an eighth sooner: the clock of a connection ticks eight times in it.
    pub header_timeout: Duration,
    /// How long running requests may go on after the signal to stop.
    pub drain: Duration,
    /// Connections at one time; more wait to be accepted.
    pub connections: usize,
    /// Bytes of headers, at most.
    pub header_bytes: usize,
    /// Requests at one time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
            connections: 10_000,
            header_bytes: 64 * 1024,
            streams: 250,
        }
    }
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were cut off because their requests did not end in time.
    pub cut_off: usize,
}

/// Serves until `shutdown` is done, then waits for running requests.
pub async fn serve<G: Gate>(
    listener: TcpListener,
    edge: Edge<G>,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
) -> Served {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // hyper's own clock is set and taken down for every request; `patience` has one a connection.
        .header_read_timeout(None)
        // Answers are small: they leave in one buffer rather than in a list of them.
        .writev(false)
        .max_buf_size(bounds.header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(bounds.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(bounds.streams)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let builder = Arc::new(builder);
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (stop, stopping) = watch::channel(false);
    // The set owns every connection: none outlives this function.
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let (builder, edge, stopping) = (Arc::clone(&builder), edge.clone(), stopping.clone());
        connections.spawn(async move {
            connection(&builder, edge, stream, peer, bounds.header_timeout, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain, drained).await.is_ok() {
        return Served { cut_off: 0 };
    }
    let cut_off = connections.len();
    connections.shutdown().await;
    Served { cut_off }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(flaw) => {
            // Out of file descriptors, most of the time: give requests a moment to end rather than spin.
            tracing::warn!(%flaw, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection<G: Gate>(
    builder: &Builder<TokioExecutor>,
    edge: Edge<G>,
    stream: TcpStream,
    peer: SocketAddr,
    header_timeout: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let pulse = Arc::new(Pulse::default());
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&pulse)));
    let felt = Arc::clone(&pulse);
    let service = service_fn(move |request: Request<Incoming>| {
        let running = Pulse::begin(&felt, request.version());
        let edge = edge.clone();
        async move {
            let response = edge.answer(Some(peer), request.map(Body::new)).await;
            drop(running);
            Ok::<_, Infallible>(response)
        }
    });
    let mut work = std::pin::pin!(builder.serve_connection(stream, service));
    let mut patience = std::pin::pin!(pulse.lost(header_timeout));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            done = work.as_mut() => {
                if let Err(flaw) = done {
                    tracing::debug!(%peer, %flaw, "a connection ended early");
                }
                return;
            }
            () = patience.as_mut() => {
                tracing::debug!(%peer, "a silent connection was closed");
                return;
            }
            told = stopping.wait_for(|stop| *stop), if !is_stopping => {
                is_stopping = true;
                drop(told);
                work.as_mut().graceful_shutdown();
            }
        }
    }
}
