//! The network between simulated nodes: gRPC requests and the frames of their streams, as parcels with a time of
//! arrival. The driver delivers what is due; faults decide what is late, held, lost or doubled.
//!
//! Frames of one call keep their order, as on a connection; calls overtake each other. What is sent over a cut link is
//! held until the link is whole again, as TCP would send it again, and a call that is cut off for longer than
//! [`DEAD_MS`] breaks, as by HTTP/2's pings.

use super::trace::Trace;
use crate::workload::random::Random;
use bytes::Bytes;
use futures::FutureExt;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use node::embedded::{Connect, PeerServer, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;
use tonic::Status;
use tonic::body::Body;

/// After so long a call over a cut link breaks, ms.
const DEAD_MS: u64 = 4_000;
/// Methods whose requests are streams.
const STREAMING: &[&str] = &["/AppendStream", "/Snapshot"];

/// What happens to messages on their way.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Percent of calls that never arrive.
    pub loss: u64,
    /// Percent of calls that arrive twice.
    pub doubled: u64,
    /// Longest delay beside the usual one, ms.
    pub late_ms: u64,
}

/// What took effect, counted.
#[derive(Debug, Clone, Default)]
pub struct NetworkCounts {
    /// Parcels delivered.
    pub delivered: u64,
    /// Parcels that waited for a cut link.
    pub held: u64,
    /// Calls that never arrived.
    pub lost: u64,
    /// Calls that arrived twice.
    pub doubled: u64,
    /// Parcels that were more than 50 ms late.
    pub late: u64,
    /// Calls that broke because a link was cut for too long, or a node died.
    pub broken: u64,
}

enum Message {
    Head(http::response::Parts),
    Frame(Frame<Bytes>),
    End,
    Failed(String),
}

enum Item {
    /// A call arrives, and what is needed to answer it.
    Call(Box<Arriving>),
    /// A part of a request or an answer.
    Part(UnboundedSender<Message>, Message),
    /// The caller wants no answer any more.
    Cancel,
}

struct Arriving {
    request: http::Request<Body>,
    reply: UnboundedSender<Message>,
}

struct Parcel {
    from: usize,
    to: usize,
    call: u64,
    item: Item,
}

struct Call {
    from: usize,
    to: usize,
    reply: UnboundedSender<Message>,
    handler: Option<AbortHandle>,
    /// When the last parcel of each direction arrives: order is kept.
    last: [u64; 2],
}

struct Incoming {
    call: u64,
    arriving: Arriving,
}

struct State {
    now: u64,
    next: u64,
    random: Random,
    trace: Trace,
    queue: BTreeMap<(u64, u64), Parcel>,
    held: Vec<Parcel>,
    /// Directed links that are cut, and since when.
    cut: BTreeMap<(usize, usize), u64>,
    weather: Weather,
    calls: BTreeMap<u64, Call>,
    inboxes: BTreeMap<usize, UnboundedSender<Incoming>>,
    addresses: BTreeMap<String, usize>,
    counts: NetworkCounts,
}

/// The network of one run.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// A network between the nodes with these addresses, by place.
    pub fn new(seed: u64, addresses: &[String], trace: Trace) -> Self {
        let addresses = addresses.iter().cloned().zip(0..).collect();
        Self(Arc::new(Mutex::new(State {
            now: 0,
            next: 0,
            random: Random::new(seed ^ 0x6e65_7477_6f72_6b00),
            trace,
            queue: BTreeMap::new(),
            held: Vec::new(),
            cut: BTreeMap::new(),
            weather: Weather::default(),
            calls: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            addresses,
            counts: NetworkCounts::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way from one node to the others.
    pub fn from(&self, place: usize) -> Arc<dyn Connect> {
        Arc::new(Way { network: self.clone(), from: place })
    }

    /// Takes calls to the node from now on; to be called on its runtime.
    pub fn open(&self, place: usize, peers: Arc<PeerServer>) {
        let (sender, inbox) = channel();
        self.state().inboxes.insert(place, sender);
        tokio::spawn(serve(self.clone(), inbox, peers));
    }

    /// The node is gone: nothing is answered any more, and its calls break.
    pub fn close(&self, place: usize) {
        let mut state = self.state();
        state.inboxes.remove(&place);
        let touched: Vec<u64> = state
            .calls
            .iter()
            .filter(|(_, call)| call.from == place || call.to == place)
            .map(|(id, _)| *id)
            .collect();
        for id in touched {
            state.break_call(id, "the node died");
        }
        state.held.retain(|parcel| parcel.from != place && parcel.to != place);
        state.queue.retain(|_, parcel| parcel.from != place && parcel.to != place);
    }

    /// Cuts a directed link.
    pub fn cut(&self, from: usize, to: usize) {
        let mut state = self.state();
        let now = state.now;
        state.cut.entry((from, to)).or_insert(now);
    }

    /// Makes all links whole again; what was held arrives.
    pub fn heal(&self) {
        let mut state = self.state();
        state.cut.clear();
        for parcel in std::mem::take(&mut state.held) {
            state.send(parcel);
        }
    }

    /// Whether any link is cut.
    pub fn is_cut(&self) -> bool {
        !self.state().cut.is_empty()
    }

    /// What happens to messages from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    /// What took effect until now.
    pub fn counts(&self) -> NetworkCounts {
        self.state().counts.clone()
    }

    /// Delivers what is due at `now`.
    pub fn deliver(&self, now: u64) {
        self.state().now = now;
        loop {
            let mut state = self.state();
            let Some(entry) = state.queue.first_entry().filter(|entry| entry.key().0 <= now) else { break };
            let parcel = entry.remove();
            if state.cut.contains_key(&(parcel.from, parcel.to)) {
                state.counts.held += 1;
                state.held.push(parcel);
                continue;
            }
            state.arrive(parcel);
        }
        let mut state = self.state();
        if now.is_multiple_of(100) && !state.cut.is_empty() {
            state.break_dead();
        }
    }
}

impl State {
    fn send(&mut self, parcel: Parcel) {
        let mut delay = 1 + self.random.below(3);
        if self.weather.late_ms > 0 && self.random.chance(20) {
            delay += self.random.below(self.weather.late_ms);
        }
        self.counts.late += u64::from(delay > 50);
        let mut due = self.now + delay;
        if let Some(call) = self.calls.get_mut(&parcel.call) {
            let last = &mut call.last[usize::from(parcel.from != call.from)];
            due = due.max(*last);
            *last = due;
        }
        self.next += 1;
        self.queue.insert((due, self.next), parcel);
    }

    fn arrive(&mut self, parcel: Parcel) {
        self.counts.delivered += 1;
        let Parcel { from, to, call, item } = parcel;
        match item {
            Item::Call(arriving) => {
                self.trace.event(self.now, || format!("{from}>{to} {}", arriving.request.uri().path()));
                match self.inboxes.get(&to) {
                    Some(inbox) => drop(inbox.send(Incoming { call, arriving: *arriving })),
                    None => {
                        let refused = Message::Failed("connection refused".to_owned());
                        let item = Item::Part(arriving.reply, refused);
                        self.send(Parcel { from: to, to: from, call, item });
                    }
                }
            }
            Item::Part(receiver, message) => {
                // Not how large it is: RocksDB writes the time of day into its files.
                self.trace.event(self.now, || format!("{from}>{to} {call} {}", message.name()));
                // A receiver that is gone wants nothing more.
                drop(receiver.send(message));
            }
            Item::Cancel => {
                if let Some(handler) = self.calls.remove(&call).and_then(|call| call.handler) {
                    handler.abort();
                }
            }
        }
    }

    fn break_call(&mut self, id: u64, why: &str) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.counts.broken += 1;
        if let Some(handler) = call.handler {
            handler.abort();
        }
        drop(call.reply.send(Message::Failed(why.to_owned())));
    }

    fn break_dead(&mut self) {
        let now = self.now;
        let dead: BTreeSet<(usize, usize)> =
            self.cut.iter().filter(|(_, since)| now - **since >= DEAD_MS).map(|(link, _)| *link).collect();
        let is_dead =
            |call: &Call| dead.contains(&(call.from, call.to)) || dead.contains(&(call.to, call.from));
        let touched: Vec<u64> =
            self.calls.iter().filter(|(_, call)| is_dead(call)).map(|(id, _)| *id).collect();
        for id in touched {
            self.break_call(id, "keep-alive timed out");
        }
    }
}

impl Message {
    fn name(&self) -> &'static str {
        match self {
            Self::Head(_) => "begin",
            Self::Frame(_) => "part",
            Self::End => "end",
            Self::Failed(_) => "failed",
        }
    }
}

/// From one node to the others.
#[derive(Debug)]
struct Way {
    network: Network,
    from: usize,
}

impl Connect for Way {
    fn transport(&self, address: &str, _: Duration) -> Result<Transport, tonic::transport::Error> {
        let to = self.network.state().addresses.get(address).copied();
        let (network, from) = (self.network.clone(), self.from);
        Ok(Transport::new(tower::service_fn(move |request| {
            call(network.clone(), from, to, request).map(Ok::<_, tonic::transport::Error>)
        })))
    }
}

/// Ends a call when its answer is not wanted any more.
struct CallGuard {
    network: Network,
    from: usize,
    to: usize,
    id: u64,
    pump: Option<AbortHandle>,
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
        let mut state = self.network.state();
        // The handler of a call that nobody waits for may have begun before it hears of that.
        if state.calls.contains_key(&self.id) && !state.random.chance(50) {
            state.send(Parcel { from: self.from, to: self.to, call: self.id, item: Item::Cancel });
        } else {
            state.calls.remove(&self.id);
        }
    }
}

async fn call(
    network: Network,
    from: usize,
    to: Option<usize>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let Some(to) = to else { return Status::unavailable("no such host").into_http() };
    let (reply, mut answer) = channel();
    let id = {
        let mut state = network.state();
        state.next += 1;
        let id = state.next;
        let call = Call { from, to, reply: reply.clone(), handler: None, last: [0; 2] };
        state.calls.insert(id, call);
        id
    };
    let mut guard = CallGuard { network: network.clone(), from, to, id, pump: None };
    let (parts, body) = request.into_parts();
    if STREAMING.iter().any(|method| parts.uri.path().ends_with(method)) {
        let (sender, frames) = channel();
        let request = http::Request::from_parts(parts, body_of(frames, ()));
        let item = Item::Call(Box::new(Arriving { request, reply }));
        network.state().send(Parcel { from, to, call: id, item });
        let pumping = pump(network.clone(), (from, to, id), body, sender);
        guard.pump = Some(tokio::spawn(pumping).abort_handle());
    } else {
        let Ok(bytes) = body.collect().await else { return Status::internal("body").into_http() };
        send_unary(&network, (from, to, id), parts, bytes.to_bytes(), reply);
    }
    match answer.recv().await {
        Some(Message::Head(parts)) => http::Response::from_parts(parts, body_of(answer, guard)),
        Some(Message::Failed(why)) => Status::unavailable(why).into_http(),
        _ => Status::unavailable("the connection broke").into_http(),
    }
}

fn send_unary(
    network: &Network,
    (from, to, call): (usize, usize, u64),
    parts: http::request::Parts,
    bytes: Bytes,
    reply: UnboundedSender<Message>,
) {
    let mut state = network.state();
    let weather = state.weather.clone();
    if state.random.chance(weather.loss) {
        state.counts.lost += 1;
        return;
    }
    let request = |parts, bytes| http::Request::from_parts(parts, Body::new(Full::new(bytes)));
    if state.random.chance(weather.doubled) {
        state.counts.doubled += 1;
        let (reply, _nobody) = channel();
        let item = Item::Call(Box::new(Arriving { request: request(parts.clone(), bytes.clone()), reply }));
        state.send(Parcel { from, to, call: 0, item });
    }
    let item = Item::Call(Box::new(Arriving { request: request(parts, bytes), reply }));
    state.send(Parcel { from, to, call, item });
}

/// Sends the frames of a body as they come.
async fn pump(
    network: Network,
    (from, to, call): (usize, usize, u64),
    mut body: Body,
    receiver: UnboundedSender<Message>,
) {
    loop {
        let message = match body.frame().await {
            Some(Ok(frame)) => Message::Frame(frame),
            Some(Err(status)) => Message::Failed(status.to_string()),
            None => Message::End,
        };
        let goes_on = matches!(message, Message::Frame(_));
        let item = Item::Part(receiver.clone(), message);
        network.state().send(Parcel { from, to, call, item });
        if !goes_on {
            return;
        }
    }
}

/// A body of the frames that arrive; keeps `guard` until it ends or is dropped.
fn body_of<G: Send + 'static>(frames: UnboundedReceiver<Message>, guard: G) -> Body {
    let frames = futures::stream::unfold(Some((frames, guard)), |state| async {
        let (mut frames, guard) = state?;
        match frames.recv().await {
            Some(Message::Frame(frame)) => Some((Ok(frame), Some((frames, guard)))),
            Some(Message::Head(_) | Message::End) => None,
            Some(Message::Failed(why)) => Some((Err(Status::unavailable(why)), None)),
            None => Some((Err(Status::unavailable("the connection broke")), None)),
        }
    });
    Body::new(StreamBody::new(frames))
}

/// A queue between the network and a node. What is in it was delivered; what bounds it is the code under test.
#[expect(clippy::disallowed_methods, reason = "a simulated wire has no end that could push back")]
fn channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    mpsc::unbounded_channel()
}

/// Answers calls for as long as the node lives.
async fn serve(network: Network, mut inbox: UnboundedReceiver<Incoming>, peers: Arc<PeerServer>) {
    while let Some(Incoming { call, arriving }) = inbox.recv().await {
        let handling = handle(network.clone(), call, arriving, Arc::clone(&peers));
        let handler = tokio::spawn(handling).abort_handle();
        if let Some(call) = network.state().calls.get_mut(&call) {
            call.handler = Some(handler);
        }
    }
}

async fn handle(network: Network, call: u64, arriving: Arriving, peers: Arc<PeerServer>) {
    let Arriving { request, reply } = arriving;
    let (parts, body) = peers.answer(request).await.into_parts();
    // A call that nobody waits for was handled all the same.
    let Some((from, to)) = network.state().calls.get(&call).map(|call| (call.from, call.to)) else { return };
    let item = Item::Part(reply.clone(), Message::Head(parts));
    network.state().send(Parcel { from: to, to: from, call, item });
    pump(network, (to, from, call), body, reply).await;
}
