//! The wish to stop: SIGTERM, SIGINT, or a test. It is looked at between writes and wakes whoever waits for a next round.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells whether to stop. Clones share the wish.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
    asker: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Nobody asks, unless [`Self::request`] does.
    pub fn never() -> Self {
        let (asker, asked) = watch::channel(false);
        Self { asked, asker: Arc::new(asker) }
    }

    /// Asked for by the first SIGTERM or SIGINT; the second one ends the process as usual.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let shutdown = Self::never();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asker = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            asker.request();
            tokio::select! { _ = terminate.recv() => std::process::exit(143), _ = interrupt.recv() => std::process::exit(130) }
        });
        Ok(shutdown)
    }

    /// Asks to stop.
    pub fn request(&self) {
        self.asker.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until somebody asks.
    pub async fn requested(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
