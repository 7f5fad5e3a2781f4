//! Between openraft's messages and ours. What arrives may be anything; it is refused, never trusted.

use crate::codec::{self, Codec, CodecError};
use crate::type_config::TypeConfig;
use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use proto::peer as wire;
use tonic::Status;

/// A request or an answer that is none.
pub(crate) fn damaged(error: &CodecError) -> Status {
    Status::invalid_argument(format!("damaged message: {error}"))
}

fn decode<T: Codec>(bytes: Bytes) -> Result<T, Status> {
    codec::decode(bytes).map_err(|error| damaged(&error))
}

fn missing(part: &str) -> Status {
    Status::invalid_argument(format!("message lacks {part}"))
}

pub(crate) fn append_to_wire(
    header: wire::Header,
    request: &AppendEntriesRequest<TypeConfig>,
) -> wire::AppendRequest {
    wire::AppendRequest {
        header: Some(header),
        vote: codec::encode(&request.vote),
        prev_log_id: codec::encode(&request.prev_log_id),
        entries: request.entries.iter().map(codec::encode).collect(),
        leader_commit: codec::encode(&request.leader_commit),
    }
}

pub(crate) fn append_from_wire(
    request: wire::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, Status> {
    Ok(AppendEntriesRequest {
        vote: decode(request.vote)?,
        prev_log_id: decode(request.prev_log_id)?,
        entries: request.entries.into_iter().map(decode).collect::<Result<_, _>>()?,
        leader_commit: decode(request.leader_commit)?,
    })
}

pub(crate) fn appended_to_wire(result: StreamAppendResult<TypeConfig>) -> wire::AppendReply {
    use wire::append_reply::Outcome;
    let outcome = match result {
        Ok(matched) => Outcome::Matched(codec::encode(&matched)),
        Err(StreamAppendError::Conflict(log_id)) => Outcome::Conflict(codec::encode(&log_id)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(codec::encode(&vote)),
    };
    wire::AppendReply { outcome: Some(outcome) }
}

pub(crate) fn appended_from_wire(reply: wire::AppendReply) -> Result<StreamAppendResult<TypeConfig>, Status> {
    use wire::append_reply::Outcome;
    Ok(match reply.outcome.ok_or_else(|| missing("an outcome"))? {
        Outcome::Matched(log_id) => Ok(decode(log_id)?),
        Outcome::Conflict(log_id) => Err(StreamAppendError::Conflict(decode(log_id)?)),
        Outcome::HigherVote(vote) => Err(StreamAppendError::HigherVote(decode(vote)?)),
    })
}

pub(crate) fn vote_to_wire(
    header: wire::Header,
    request: &VoteRequest<TypeConfig>,
    pre_vote: bool,
) -> wire::VoteRequest {
    wire::VoteRequest {
        header: Some(header),
        vote: codec::encode(&request.vote),
        last_log_id: codec::encode(&request.last_log_id),
        leadership_transfer: request.leadership_transfer,
        pre_vote,
    }
}

pub(crate) fn vote_from_wire(request: wire::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
    let mut vote = VoteRequest::new(decode(request.vote)?, decode(request.last_log_id)?);
    vote.leadership_transfer = request.leadership_transfer;
    Ok(vote)
}

pub(crate) fn voted_to_wire(reply: &VoteResponse<TypeConfig>) -> wire::VoteReply {
    wire::VoteReply {
        vote: codec::encode(&reply.vote),
        granted: reply.vote_granted,
        last_log_id: codec::encode(&reply.last_log_id),
    }
}

pub(crate) fn voted_from_wire(reply: wire::VoteReply) -> Result<VoteResponse<TypeConfig>, Status> {
    let vote: crate::type_config::Vote = decode(reply.vote)?;
    Ok(VoteResponse::new(vote, decode(reply.last_log_id)?, reply.granted))
}

pub(crate) fn transfer_to_wire(
    header: wire::Header,
    request: &TransferLeaderRequest<TypeConfig>,
) -> wire::TransferLeaderRequest {
    wire::TransferLeaderRequest {
        header: Some(header),
        from_leader: codec::encode(request.from_leader()),
        to: *request.to_node_id(),
        last_log_id: codec::encode(&request.last_log_id().copied()),
    }
}

pub(crate) fn transfer_from_wire(
    request: wire::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, Status> {
    let from = decode(request.from_leader)?;
    Ok(TransferLeaderRequest::new(from, request.to, decode(request.last_log_id)?))
}

pub(crate) fn transferred_to_wire(reply: TransferLeaderResponse<TypeConfig>) -> wire::TransferLeaderReply {
    use wire::transfer_leader_reply::{Accepted, LogNotFlushed, Outcome, VoteChanged};
    let outcome = match reply {
        Ok(()) => Outcome::Accepted(Accepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => Outcome::VoteChanged(VoteChanged {
            expected: codec::encode(&expected),
            actual: codec::encode(&actual),
        }),
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Outcome::LogNotFlushed(LogNotFlushed {
                expected: codec::encode(&expected),
                actual: codec::encode(&actual),
            })
        }
    };
    wire::TransferLeaderReply { outcome: Some(outcome) }
}

pub(crate) fn transferred_from_wire(
    reply: wire::TransferLeaderReply,
) -> Result<TransferLeaderResponse<TypeConfig>, Status> {
    use wire::transfer_leader_reply::Outcome;
    Ok(match reply.outcome.ok_or_else(|| missing("an outcome"))? {
        Outcome::Accepted(_) => Ok(()),
        Outcome::VoteChanged(votes) => Err(TransferLeaderError::VoteChanged {
            expected: decode(votes.expected)?,
            actual: decode(votes.actual)?,
        }),
        Outcome::LogNotFlushed(ids) => Err(TransferLeaderError::LogNotFlushed {
            expected: decode(ids.expected)?,
            actual: decode(ids.actual)?,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::{Command, Entry, LeaderId, LogId, Payload, Vote};

    fn log_id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 2, node_id: 1 }, index }
    }

    #[test]
    fn an_append_comes_back_as_it_was() {
        let command = Payload::Normal(Command(Bytes::from_static(b"points")));
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new_committed(2, 1),
            prev_log_id: Some(log_id(4)),
            entries: vec![
                Entry { log_id: log_id(5), payload: Payload::Blank },
                Entry { log_id: log_id(6), payload: command },
            ],
            leader_commit: None,
        };
        let back = append_from_wire(append_to_wire(wire::Header::default(), &request)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        assert_eq!(back.entries, request.entries);
    }

    #[test]
    fn answers_come_back_as_they_were() {
        for result in [
            Ok(None),
            Ok(Some(log_id(7))),
            Err(StreamAppendError::Conflict(log_id(3))),
            Err(StreamAppendError::HigherVote(Vote::new(9, 3))),
        ] {
            assert_eq!(appended_from_wire(appended_to_wire(result.clone())).unwrap(), result);
        }
        let changed =
            Err(TransferLeaderError::VoteChanged { expected: Vote::new(1, 1), actual: Vote::new(2, 2) });
        assert_eq!(transferred_from_wire(transferred_to_wire(changed.clone())).unwrap(), changed);
    }

    #[test]
    fn a_vote_comes_back_as_it_was() {
        let mut request = VoteRequest::<TypeConfig>::new(Vote::new(3, 2), Some(log_id(1)));
        request.leadership_transfer = true;
        let wire = vote_to_wire(wire::Header::default(), &request, true);
        assert!(wire.pre_vote);
        assert_eq!(vote_from_wire(wire).unwrap(), request);
        let reply = VoteResponse::<TypeConfig>::new(Vote::new(3, 2), None, true);
        assert_eq!(voted_from_wire(voted_to_wire(&reply)).unwrap(), reply);
    }

    #[test]
    fn empty_messages_are_refused() {
        assert!(append_from_wire(wire::AppendRequest::default()).is_err());
        assert!(appended_from_wire(wire::AppendReply::default()).is_err());
        assert!(vote_from_wire(wire::VoteRequest::default()).is_err());
        assert!(transferred_from_wire(wire::TransferLeaderReply::default()).is_err());
    }
}
