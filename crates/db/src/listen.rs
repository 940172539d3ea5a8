//! Notifications: PostgreSQL's word to the other nodes that something changed. Nothing is correct only because of
//! them; they make others look sooner.

use std::{future::poll_fn, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::AsyncMessage;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, postgres};

/// The channel that [`crate::Tx::notify`] speaks on; in a schema of its own, with the schema's name behind it.
pub const CHANNEL: &str = "charter";

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// What was said in a transaction that has committed.
    Payload(String),
    /// The connection was lost and is back: something may have been missed, so look for yourself.
    Reconnected,
}

/// An open ear; on SQLite it hears nothing, as there is only one process.
pub struct Listener {
    receiver: Option<mpsc::Receiver<Notification>>,
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// Waits for the next notification.
    pub async fn next(&mut self) -> Notification {
        if let Some(receiver) = &mut self.receiver
            && let Some(notification) = receiver.recv().await
        {
            return notification;
        }
        std::future::pending().await
    }

    pub(crate) const fn silent() -> Self {
        Self { receiver: None, task: None }
    }

    pub(crate) async fn open(
        config: tokio_postgres::Config,
        tls: MakeRustlsConnect,
        channel: &str,
    ) -> Result<Self, Error> {
        if channel.is_empty() || !channel.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        {
            return Err(Error::Config(
                "a channel's name has small letters, digits and low lines only".to_owned(),
            ));
        }
        let (sender, receiver) = mpsc::channel(1024);
        let listen = format!("listen {channel}");
        let mut ear = connect(&config, &tls, &listen, &sender).await?;
        #[expect(clippy::disallowed_methods, reason = "the task ends when its listener is dropped")]
        let task = tokio::spawn(async move {
            loop {
                // The outcome is the same however the connection ended: connect again.
                let _ended = (&mut ear.connection).await;
                let mut pause = Duration::from_millis(100);
                ear = loop {
                    if sender.is_closed() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    match connect(&config, &tls, &listen, &sender).await {
                        Ok(ear) => break ear,
                        Err(error) => tracing::warn!(%error, "cannot listen to the database, will try again"),
                    }
                    pause = (pause * 2).min(Duration::from_secs(5));
                };
                if sender.send(Notification::Reconnected).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { receiver: Some(receiver), task: Some(task) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A connection that listens; it closes when the client is dropped.
struct Ear {
    _client: tokio_postgres::Client,
    connection: Abort,
}

/// A task that ends with its owner.
struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for Abort {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(context).map(|_| ())
    }
}

async fn connect(
    config: &tokio_postgres::Config,
    tls: &MakeRustlsConnect,
    listen: &str,
    sender: &mpsc::Sender<Notification>,
) -> Result<Ear, Error> {
    let (client, mut connection) = config.connect(tls.clone()).await.map_err(postgres::connecting)?;
    let sender = sender.clone();
    #[expect(clippy::disallowed_methods, reason = "the task ends when its listener is dropped")]
    let task = tokio::spawn(async move {
        while let Some(Ok(said)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(said) = said
                && sender.send(Notification::Payload(said.payload().to_owned())).await.is_err()
            {
                return;
            }
        }
    });
    let connection = Abort(task);
    client.batch_execute(listen).await.map_err(postgres::failure)?;
    Ok(Ear { _client: client, connection })
}
