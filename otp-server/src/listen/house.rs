//! Who is in: seats under the caps, and the way out at shutdown.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::timeout;

use super::Limits;

/// All connections of one listener.
pub(super) struct House {
    pub(super) limits: Limits,
    seats: Mutex<Seats>,
    closing: AtomicBool,
    close: Notify,
    empty: Notify,
}

#[derive(Default)]
struct Seats {
    taken: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when the last holder drops it.
pub(super) struct Seat {
    pub(super) house: Arc<House>,
    counted_as: Option<IpAddr>,
}

/// Which cap was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    House,
    Peer(IpAddr),
}

impl House {
    pub(super) fn open(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            seats: Mutex::default(),
            closing: AtomicBool::new(false),
            close: Notify::new(),
            empty: Notify::new(),
        })
    }

    /// Takes a seat for a connection from `ip`.
    pub(super) fn seat(self: &Arc<Self>, ip: IpAddr) -> Result<Seat, Refusal> {
        let counted_as = (!(self.limits.exempt)(ip)).then(|| subscriber(ip));
        let mut seats = self.seats();
        if seats.taken >= self.limits.connections {
            return Err(Refusal::House);
        }
        if let Some(ip) = counted_as {
            let of_peer = seats.by_ip.entry(ip).or_default();
            if *of_peer >= self.limits.per_ip {
                return Err(Refusal::Peer(ip));
            }
            *of_peer += 1;
        }
        seats.taken += 1;
        Ok(Seat { house: Arc::clone(self), counted_as })
    }

    /// Ready once the house closes. A future made before [`House::is_closing`] turns true misses nothing.
    pub(super) fn closed(&self) -> Notified<'_> {
        self.close.notified()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Asks everyone to leave and waits for it, at most the drain time.
    pub(super) async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.close.notify_waiters();
        let emptied = async {
            while self.seats().taken > 0 {
                self.empty.notified().await;
            }
        };
        if timeout(self.limits.drain, emptied).await.is_err() {
            tracing::warn!(left = self.seats().taken, "shutting down over connections that did not finish in time");
        }
    }

    fn leave(&self, counted_as: Option<IpAddr>) {
        let mut seats = self.seats();
        seats.taken -= 1;
        if let Some(ip) = counted_as
            && let Some(of_peer) = seats.by_ip.get_mut(&ip)
        {
            *of_peer -= 1;
            if *of_peer == 0 {
                seats.by_ip.remove(&ip);
            }
        }
        if seats.taken == 0 {
            self.empty.notify_one();
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.house.leave(self.counted_as);
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::House => f.write_str("all connections are taken"),
            Self::Peer(ip) => write!(f, "{ip} has all it may have"),
        }
    }
}

fn subscriber(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(connections: usize, per_ip: usize) -> Arc<House> {
        House::open(Limits { connections, per_ip, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_its_own_cap_and_gets_the_seat_back() {
        let house = house(10, 2);
        let (_one, two) = (house.seat(ip("192.0.2.1")).unwrap(), house.seat(ip("192.0.2.1")).unwrap());
        assert_eq!(house.seat(ip("192.0.2.1")).err(), Some(Refusal::Peer(ip("192.0.2.1"))));
        assert!(house.seat(ip("192.0.2.2")).is_ok());
        drop(two);
        assert!(house.seat(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one_peer() {
        let house = house(10, 1);
        let _one = house.seat(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(house.seat(ip("2001:db8:0:1:ffff::2")).err(), Some(Refusal::Peer(ip("2001:db8:0:1::"))));
        assert!(house.seat(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn loopback_is_bounded_by_the_house_only() {
        let house = house(3, 1);
        let seats: Vec<_> = (0..3).map(|_| house.seat(ip("127.0.0.1")).unwrap()).collect();
        assert_eq!(house.seat(ip("::1")).err(), Some(Refusal::House));
        drop(seats);
        assert!(house.seat(ip("::1")).is_ok());
    }

    #[test]
    fn peers_that_left_are_forgotten() {
        let house = house(10, 2);
        drop(house.seat(ip("192.0.2.1")).unwrap());
        assert!(house.seats().by_ip.is_empty());
    }
}
