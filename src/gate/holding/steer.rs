//! Leaving a port that another socket listens on as well, by SO_REUSEPORT.
//!
//! When a listening socket is closed, the kernel resets the calls in its queue and those in their handshake; nothing
//! but the setting `net.ipv4.tcp_migrate_req`, which few machines have on, gives them to another socket. So new
//! calls are first kept away: a program of the group (SO_ATTACH_REUSEPORT_CBPF) sends them to the other socket, and a
//! filter of ours (SO_ATTACH_FILTER) drops those that come here all the same, as a lost packet that the client's system
//! repeats a second later. What is there by then is taken, and then the socket is closed.

use std::io;

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use socket2::{SockFilter, Socket};

/// `BPF_RET | BPF_K`: the verdict is a constant.
const RETURN: u16 = 0x06;
/// `BPF_LD | BPF_B | BPF_ABS`: a byte of the packet, which begins with the TCP header here.
const LOAD_BYTE: u16 = 0x30;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;

/// Where the flags are in a TCP header.
const FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;
/// As many bytes as there are.
const WHOLE: u32 = u32::MAX;

/// In a group, sockets have the numbers in which they began to listen, and ours is the first.
const NEXT: u32 = 1;
/// A number that no socket has: the group goes by its own way of spreading calls, as without a program.
const NONE: u32 = u32::MAX;

/// Sets the filter that drops nothing, to know whether one may be set.
pub(super) fn admit_all(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, WHOLE)])
}

/// Keeps new calls away from `socket` while `take` takes those that are there, or in their handshake. The socket
/// is to be closed at once after that.
pub(super) fn leave(socket: &Socket, take: impl FnOnce()) {
    // Without it the filter alone does it; calls that it drops come a second later.
    let _ = steer(socket, NEXT);
    // That it can be set was seen at the start.
    let _ = drop_new(socket);
    take();
    let _ = steer(socket, NONE);
}

/// Has the kernel give all new calls to one socket of the group.
fn steer(socket: &Socket, to: u32) -> nix::Result<()> {
    let mut program = [sock_filter { code: RETURN, jt: 0, jf: 0, k: to }];
    // The kernel copies it.
    let program = sock_fprog { len: 1, filter: program.as_mut_ptr() };
    setsockopt(socket, AttachReusePortCbpf, &program)
}

/// Drops what begins a call, and nothing else: not the answer that ends a handshake, nor what those who are
/// there have to say.
fn drop_new(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, WHOLE),
    ])
}
