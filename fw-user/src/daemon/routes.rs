//! The task that follows the kernel's routes, so that no packet takes a way that is no longer one.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::running::Running;
use crate::attach::{Attachment, Mode};
use crate::maps::Surroundings;
use crate::routing::{Bypass, Generation, Hooks, News, RuleNews, look, look_for_services, nat};

/// How often the programs are told that somebody watches.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Shortest time between two generations: what changes meanwhile belongs to the second. It becomes longer, up to
/// [`LONG_PAUSE`], as long as the news don't end.
const PAUSE: Duration = Duration::from_millis(10);
const LONG_PAUSE: Duration = Duration::from_millis(100);
/// How often the machine is searched for what fast-tracked packets would bypass, when nothing else says
/// that it has changed; and how often at most.
const SEARCH: Duration = Duration::from_secs(10);
const SEARCH_AGAIN: Duration = Duration::from_millis(100);

/// The task, once it knows the machine.
pub(super) struct Routes {
    running: Arc<Running>,
    generation: Generation,
    surroundings: Surroundings,
    news: Option<News>,
    rules: Option<RuleNews>,
    /// Looks for what sees forwarded packets; `None` while it is at it.
    hooks: Option<Hooks>,
    /// Whether there were routes for one type of service; the kernel does not tell of each that goes.
    services: bool,
    /// What was said to be bypassed.
    told: Vec<Bypass>,
    pace: Pace,
    /// When the programs are to be told that somebody watches.
    vouch_at: Instant,
    /// When the machine was searched, and is to be.
    searched: Instant,
    search_at: Instant,
    /// What was said to translate addresses.
    told_nat: Vec<String>,
}

impl Routes {
    /// Takes a first look: from here on packets may leave straight from XDP.
    pub(super) async fn begin(
        running: Arc<Running>,
        generation: Generation,
        surroundings: Surroundings,
    ) -> Self {
        let news = News::subscribe()
            .inspect_err(|e| warn!("cannot follow routes, the kernel forwards everything: {e}"))
            .ok();
        let now = Instant::now();
        let mut routes = Self {
            hooks: Some(Hooks::open(&running.paths)),
            running,
            generation,
            surroundings,
            news,
            // Without them, the look of each second has to do.
            rules: RuleNews::subscribe().ok(),
            services: true,
            told: Vec::new(),
            pace: Pace::new(now),
            vouch_at: now,
            searched: now,
            search_at: now,
            told_nat: Vec::new(),
        };
        // What changed before we listened.
        routes.raise();
        // Before anybody vouches: the map may still say what a daemon before us found.
        routes.do_what_is_due().await;
        routes
    }

    /// Follows the news for ever.
    pub(super) async fn follow(mut self) {
        loop {
            let due = self.vouch_at.min(self.search_at);
            let pause = tokio::select! {
                // News first: nobody may vouch for what is out of date.
                biased;
                heard = next(&mut self.news) => self.act_on(heard),
                heard = next_rule(&mut self.rules) => {
                    if heard.is_err() {
                        self.rules = None;
                    }
                    if self.look_for_hooks().await {
                        self.search_soon();
                    }
                    Some(PAUSE)
                }
                () = sleep_until(due) => None,
            };
            // However many news there are: these are acted on, and the rest has its time.
            self.do_what_is_due().await;
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    }

    /// Acts on what was heard; how long to wait then for more, if it was news.
    fn act_on(&mut self, heard: io::Result<bool>) -> Option<Duration> {
        let changed = heard.unwrap_or_else(|e| {
            warn!("no more news of routes, the kernel forwards everything: {e}");
            self.news = None;
            true
        });
        if !changed {
            return None;
        }
        self.raise();
        // Some of it is in what the programs know of each interface (`rp_filter`).
        self.running.say_interfaces_changed();
        self.search_soon();
        Some(self.pace.after_news(Instant::now()))
    }

    /// Something may have come that packets would bypass.
    fn search_soon(&mut self) {
        self.search_at = self.search_at.min(self.searched + SEARCH_AGAIN);
    }

    /// Waits for the end of a task, and acts on the news until then: among a million routes a search takes its time.
    async fn meanwhile<T>(&mut self, mut task: JoinHandle<T>) -> Result<T, JoinError> {
        loop {
            tokio::select! {
                ended = &mut task => return ended,
                heard = next(&mut self.news) => {
                    if let Some(pause) = self.act_on(heard) {
                        sleep(pause).await;
                    }
                }
            }
        }
    }

    /// Searches, and vouches for what was found, when it is time.
    async fn do_what_is_due(&mut self) {
        let is_late = Instant::now() >= self.vouch_at;
        if is_late {
            self.set_clock();
            if self.look_for_hooks().await {
                self.search_soon();
            }
            // What has come meanwhile.
            if let Some(heard) = self.news.as_mut().map(News::take_in) {
                self.act_on(heard);
            }
        }
        if Instant::now() >= self.search_at {
            self.searched = Instant::now();
            self.search_at = self.searched + SEARCH;
            self.look_around().await;
        }
        if is_late {
            self.vouch();
            self.vouch_at = Instant::now() + HEARTBEAT;
        }
    }

    /// What a verdict was found with holds no longer: what is asked from now on has to be there before.
    fn raise(&mut self) {
        if let Err(e) = self.surroundings.look() {
            warn!("own addresses: {}", crate::error::chain(&e));
        }
        if let Err(e) = self.generation.raise() {
            warn!("map ROUTING: {e}");
        }
    }

    fn set_clock(&mut self) {
        if let Err(e) = self.surroundings.set_clock() {
            warn!("time of day: {}", crate::error::chain(&e));
        }
    }

    fn vouch(&self) {
        if self.news.is_none() {
            return;
        }
        if let Err(e) = self.generation.vouch(self.running.clock()) {
            warn!("map ROUTING: {e}");
        }
    }

    /// Tells of who translates addresses, if that is news.
    fn tell_of_nat(&mut self, translators: Vec<String>) {
        if translators != self.told_nat
            && let Some(sentence) = nat::sentence(&translators)
        {
            warn!("{sentence} ({})", nat::MEND);
        }
        self.told_nat.clone_from(&translators);
        self.running.note_translators(translators);
    }

    /// Lets first packets of flows leave straight from XDP, or not; whether there is something new.
    async fn look_for_hooks(&mut self) -> bool {
        let ports = self.running.attached();
        let vlans: Vec<_> = ports.iter().flat_map(Attachment::vlans).collect();
        let ports = ports.into_iter().map(|a| (a.index, a.name));
        let ports: Vec<_> = ports.chain(vlans).collect();
        let looked = match self.hooks.take() {
            Some(mut hooks) => spawn_blocking(move || {
                let why = hooks.look(&ports);
                (hooks, why)
            })
            .await
            .ok(),
            None => None,
        };
        let why = match looked {
            Some((hooks, why)) => {
                self.hooks = Some(hooks);
                why
            }
            None => Some("the search for what sees them has failed".into()),
        };
        if let Err(e) = self.generation.enable_first(why.is_none()) {
            warn!("map ROUTING: {e}");
        }
        self.running.note_first_packets(why)
    }

    /// Searches the machine, allows or stops forwarding in XDP, and says once what is bypassed.
    async fn look_around(&mut self) {
        let attached = self.running.attached();
        // What TC forwards meets the queueing disciplines, but not those of VLANs.
        let at_tc = attached.iter().all(|a| a.mode == Mode::Tc);
        let vlans: Vec<_> = attached.iter().flat_map(Attachment::vlans).collect();
        let ports: Vec<_> = attached
            .into_iter()
            .filter(|_| !at_tc)
            .map(|attachment| (attachment.index, attachment.name))
            .chain(vlans)
            .collect();
        let may_have_come = (self.news.as_mut()).is_some_and(News::services_may_have_come);
        let ask = self.services || may_have_come;
        let search = move || {
            let services = ask.then(look_for_services).flatten();
            (look(&ports), services, nat::translators())
        };
        let searched = self.meanwhile(spawn_blocking(search)).await;
        let (mut found, services, translators) = searched.unwrap_or_else(|e| {
            let why = format!("the search for what packets would bypass has failed ({e})");
            let unseen = Bypass::unseen(&why, "restart fwctl run");
            (Vec::new(), Some(unseen), self.told_nat.clone())
        });
        self.tell_of_nat(translators);
        self.services = services.is_some();
        found.extend(services);
        if self.news.is_none() {
            let why = "the kernel does not tell of changes of routes";
            found.push(Bypass::unseen(why, "restart fwctl run"));
        }
        let harmful = found.iter().any(|bypass| bypass.harmful);
        if let Err(e) = self.generation.enable(!harmful) {
            warn!("map ROUTING: {e}");
        }
        if self.running.tunables().fasttrack {
            for bypass in found.iter().filter(|bypass| !self.told.contains(bypass)) {
                warn!("{} ({})", bypass.what, bypass.mend);
            }
            if self.told.iter().any(|b| b.harmful) && !harmful {
                info!("established flows are fast-tracked again");
            }
        }
        self.told.clone_from(&found);
        self.running.note_bypassed(found);
    }
}

/// How fast generations follow each other.
struct Pace {
    pause: Duration,
    last: Instant,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self {
            pause: PAUSE,
            last: now,
        }
    }

    /// How long to wait for more after news at this time: the longer, the less they end.
    fn after_news(&mut self, now: Instant) -> Duration {
        self.pause = if now.duration_since(self.last) <= 2 * self.pause {
            (2 * self.pause).min(LONG_PAUSE)
        } else {
            PAUSE
        };
        self.last = now;
        self.pause
    }
}

async fn next(news: &mut Option<News>) -> io::Result<bool> {
    match news {
        Some(news) => news.next().await,
        None => pending().await,
    }
}

async fn next_rule(rules: &mut Option<RuleNews>) -> io::Result<()> {
    match rules {
        Some(rules) => rules.next().await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_follow_each_other_more_slowly_as_long_as_news_come() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        now += Duration::from_secs(1);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = pace.after_news(now);
            pauses.push(pause.as_millis());
            // There are some by then.
            now += pause;
        }
        assert_eq!(pauses, [10, 20, 40, 80, 100, 100]);
        assert_eq!(pace.after_news(now + Duration::from_secs(1)), PAUSE);
    }
}
