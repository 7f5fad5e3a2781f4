//! Who may talk to a node, and what a node without a cluster answers.

use crate::cluster::{CLUSTER, Cluster, DATA, Silent, tuning};
use model::NodeId;
use proto::peer::peer_client::PeerClient;
use proto::peer::{AppendRequest, Header, ReadIndexRequest, StatusRequest};
use raft::peer::{self, FoundingInfo};
use raft::{PeerError, PeerServer, Tcp};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

const TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn another_cluster_another_addressee_and_no_header_are_refused() {
    let cluster = Cluster::start(1, tuning());
    let ours = Header { cluster: CLUSTER.into(), group: DATA.0, from: 2, to: 1, feature_level: 1 };
    let url = format!("http://{}", cluster.nodes[0].address);
    cluster.client.block_on(async {
        let mut client = PeerClient::connect(url).await.unwrap();
        for (header, code) in [
            (Some(Header { cluster: "another".into(), ..ours.clone() }), Code::FailedPrecondition),
            (Some(Header { to: 2, ..ours.clone() }), Code::FailedPrecondition),
            (Some(Header { group: 99, ..ours.clone() }), Code::NotFound),
            (Some(Header { feature_level: u32::MAX, ..ours.clone() }), Code::FailedPrecondition),
            (None, Code::InvalidArgument),
        ] {
            let append = AppendRequest { header: header.clone(), ..AppendRequest::default() };
            assert_eq!(client.append(append).await.unwrap_err().code(), code, "{header:?}");
            let read = ReadIndexRequest { header, timeout_ms: 1_000 };
            assert_eq!(client.read_index(read).await.unwrap_err().code(), code);
        }
        let empty = AppendRequest { header: Some(ours), ..AppendRequest::default() };
        assert_eq!(client.append(empty).await.unwrap_err().code(), Code::InvalidArgument);
    });
}

#[tokio::test]
async fn a_blank_node_says_who_it_is_and_may_refuse_to_found() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(PeerServer::new(Arc::new(Silent)).serve(listener, None));
    let identity = peer::identity(&Tcp, &address, TIMEOUT).await.unwrap();
    assert_eq!((identity.cluster.as_str(), identity.node, identity.volume.as_str()), ("", 0, "blank"));
    let founding = FoundingInfo { cluster: "c".into(), ..FoundingInfo::default() };
    let refused = peer::bootstrap(&Tcp, &address, NodeId(1), &founding, TIMEOUT).await.unwrap_err();
    assert!(matches!(refused, PeerError::Refused { reason, .. } if reason == "not in c"));
    let mut client = PeerClient::connect(format!("http://{address}")).await.unwrap();
    let status = StatusRequest { header: Some(Header::default()) };
    assert_eq!(client.status(status).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_node_that_is_not_there_is_noticed_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let started = tokio::time::Instant::now();
    assert!(matches!(peer::identity(&Tcp, &address, TIMEOUT).await, Err(PeerError::Unreachable { .. })));
    assert!(started.elapsed() < Duration::from_secs(1));
}
