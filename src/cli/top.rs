//! `quaymeter top`: a running service at a glance.
//!
//! A round of questions, then a pause: never two at once. A frame is a pure
//! function of what is known ([`frame`], [`state`]), and of a frame only what
//! has changed is written, so that a slow link carries little.

mod ask;
pub mod frame;
mod screen;
pub mod state;

use super::service::Service;
use super::signals::{hangups, stop_signals};
use super::words;
use crate::failpoint;
use crate::pb::{Measure, Role};
use anyhow::{Context as _, anyhow};
use ask::{Asker, Failed};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use screen::{Input, Screen};
use state::{Choice, Reading, State};
use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How often it is drawn when nothing happens: what is old grows older.
const DRAW_EVERY: Duration = Duration::from_secs(1);

/// How far frames are apart, at least, whatever happens meanwhile.
const DRAW_PAUSE: Duration = Duration::from_millis(50);

/// How long a terminal that takes nothing may hold up the end.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(2);

/// Columns of a snapshot that no terminal shows.
const PLAIN_COLUMNS: u16 = 100;

/// Lines of a snapshot beside the leaders and the reasons of refusals.
const PLAIN_ROWS: u16 = 40;

/// Between the two answers of a snapshot, from which its rates come.
const PLAIN_PAUSE: Duration = Duration::from_secs(1);

/// Shows a running service: rates, lag, freshness, truck turns, leaders and what
/// is refused.
///
/// On a terminal it is a live view: q or Esc quits, ? explains the keys. Into a
/// pipe, or with --once, it prints one snapshot and ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    service: Service,
    /// Seconds between two rounds of questions.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: Duration,
    /// In which role to rank.
    #[arg(long, value_parser = words::role(), default_value = "carrier")]
    role: Role,
    /// What to rank by.
    #[arg(long, value_parser = words::measure(), default_value = "throughput-teu-milli")]
    measure: Measure,
    /// Leaders, at most.
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Print one snapshot and end.
    #[arg(long)]
    once: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.2..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("not between 0.2 and 3600".into())
    }
}

/// Shows it.
///
/// # Errors
/// A terminal that cannot be taken or is gone; for a snapshot, a service that
/// does not answer.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let choice = Choice {
        role: args.role,
        measure: args.measure,
    };
    let state = State::new(&args.service.server, args.interval, choice);
    let asker = Asker::new(args.service.reach()?, args.limit);
    if args.once {
        once(asker, state).await?;
    } else if !io::stdout().is_terminal() {
        eprintln!("standard output is not a terminal: one snapshot, as with --once");
        once(asker, state).await?;
    } else {
        failpoint::configure();
        live(asker, state).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn once(mut asker: Asker, mut state: State) -> anyhow::Result<()> {
    let started = Instant::now();
    for pause in [PLAIN_PAUSE, Duration::ZERO] {
        let asked = asker.round(state.choice).await;
        let reading = asked.map_err(|failed| anyhow!(failed.why));
        let reading = reading.with_context(|| format!("ask {}", state.server))?;
        state.heard(elapsed(started), reading);
        tokio::time::sleep(pause).await;
    }
    io::stdout().write_all(plain(&state).as_bytes())?;
    Ok(())
}

/// As text, without what only a terminal needs.
fn plain(state: &State) -> String {
    let lines = state.reading.as_ref().map_or(0, |(_, reading)| {
        let refused = reading
            .status
            .intake
            .as_ref()
            .map_or(0, |i| i.refused.len());
        reading.leaders.len() + refused
    });
    let rows = PLAIN_ROWS.saturating_add(u16::try_from(lines).unwrap_or(u16::MAX));
    let mut buffer = Buffer::empty(Rect::new(0, 0, PLAIN_COLUMNS, rows));
    let now = state.reading.as_ref().map_or(0, |(at, _)| *at);
    frame::draw_plain(state, now, &mut buffer);
    frame::text(&buffer)
}

fn elapsed(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A round of questions under way; it gives the asker back.
type Round = Pin<Box<dyn Future<Output = (Asker, Result<Reading, Failed>)> + Send>>;

/// The view, and what it waits for.
struct Live {
    state: State,
    started: Instant,
    /// Between two rounds.
    asker: Option<Asker>,
    /// During a round.
    round: Option<Round>,
    /// When the next one begins.
    next: Instant,
}

async fn live(asker: Asker, state: State) -> anyhow::Result<()> {
    // Before the terminal is ours, so that no signal leaves it behind.
    let (stop, mut hangups) = (stop_signals()?, hangups()?);
    tokio::pin!(stop);
    tokio::spawn(insist(stop_signals()?));
    let mut screen = Screen::take().context("take the terminal")?;
    let mut inputs = screen::input();
    let mut live = Live {
        state,
        started: Instant::now(),
        asker: Some(asker),
        round: None,
        next: Instant::now(),
    };
    loop {
        let now = elapsed(live.started);
        screen
            .draw(&live.state, now)
            .context("draw to the terminal")?;
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = hangups.recv() => return Ok(()),
            ended = live.until_next_frame(&mut inputs) => if ended {
                return Ok(());
            },
        }
    }
}

/// Ends the process some time after the signal to stop: over a connection that
/// hangs, nothing can be written any more, and drawing waits without end.
async fn insist(stop: impl Future<Output = ()>) {
    stop.await;
    tokio::time::sleep(GIVE_BACK_WITHIN).await;
    screen::abandon();
    std::process::exit(i32::from(super::FAILED));
}

impl Live {
    /// Waits until there is something to draw and a frame may follow the last one,
    /// which was just drawn; whether that is the end.
    async fn until_next_frame(&mut self, inputs: &mut mpsc::Receiver<Input>) -> bool {
        let drawn = Instant::now();
        let mut ended = self.step(inputs, drawn + DRAW_EVERY).await;
        while !ended && drawn.elapsed() < DRAW_PAUSE {
            ended = self.step(inputs, drawn + DRAW_PAUSE).await;
        }
        ended
    }

    /// Waits until something happens, or until a time; whether that is the end.
    async fn step(&mut self, inputs: &mut mpsc::Receiver<Input>, until: Instant) -> bool {
        if let (None, false) = (&self.round, self.state.paused)
            && self.next <= Instant::now()
            && let Some(asker) = self.asker.take()
        {
            self.round = Some(Box::pin(one_round(asker, self.state.choice)));
        }
        let waiting = self.round.is_none() && !self.state.paused;
        tokio::select! {
            (asker, heard) = going(&mut self.round) => self.heard(asker, heard),
            () = sleep_until(self.next), if waiting => {}
            () = sleep_until(until) => {}
            input = inputs.recv() => return self.input(input),
        }
        false
    }

    fn heard(&mut self, asker: Asker, heard: Result<Reading, Failed>) {
        self.round = None;
        self.asker = Some(asker);
        let pause = match heard {
            Ok(reading) => {
                let asked = reading.choice;
                self.state.heard(elapsed(self.started), reading);
                // Another choice was made meanwhile.
                if asked == self.state.choice {
                    self.state.interval
                } else {
                    Duration::ZERO
                }
            }
            Err(Failed { why, pause }) => {
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let again = elapsed(self.started).saturating_add(pause_ms);
                self.state.failed(&why, again);
                pause
            }
        };
        self.next = Instant::now() + pause;
    }

    fn input(&mut self, input: Option<Input>) -> bool {
        let before = (self.state.choice, self.state.paused);
        let ended = match input {
            Some(Input::Key(key)) => self.state.pressed(key),
            Some(Input::Resized) => false,
            // The terminal is gone.
            None => true,
        };
        // A failure is waited out, whatever is pressed.
        if before != (self.state.choice, self.state.paused) && self.state.fault.is_none() {
            self.next = Instant::now();
        }
        ended
    }
}

async fn one_round(mut asker: Asker, choice: Choice) -> (Asker, Result<Reading, Failed>) {
    let heard = asker.round(choice).await;
    (asker, heard)
}

/// The end of the round, if one is under way.
async fn going(round: &mut Option<Round>) -> (Asker, Result<Reading, Failed>) {
    match round {
        Some(round) => round.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_a_pause_apart_whatever_comes_from_the_terminal() {
        let choice = Choice {
            role: Role::Carrier,
            measure: Measure::TruckTurns,
        };
        let mut state = State::new("nowhere", DRAW_EVERY, choice);
        state.paused = true;
        let mut live = Live {
            state,
            started: Instant::now(),
            asker: None,
            round: None,
            next: Instant::now(),
        };
        let (to, mut inputs) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..10_000 {
                to.send(Input::Resized).await.unwrap();
            }
        });
        let mut frames = 0;
        while !live.until_next_frame(&mut inputs).await {
            frames += 1;
        }
        assert!(live.started.elapsed() >= frames * DRAW_PAUSE, "{frames}");
    }
}
