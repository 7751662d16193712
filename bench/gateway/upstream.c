/* A provider that is never the limit: one thread, epoll, keep-alive, answers made once.
 *
 * usage: upstream [PACE_US [KEY]]     listens at 127.0.0.1 at a port of the kernel's choice and prints it
 *
 *   POST /v1/chat/completions   a chat completion, or with "stream":true a stream of 35 chunks of text (its usage where it is asked for)
 *   POST /v1/messages           the same in Anthropic's protocol
 *   GET  /count                 what was answered so far, and how much was asked with a key that begins with KEY: the truth that a ledger is
 *                               compared with
 *   anything else               {"object":"list","data":[]}
 *
 * Each event of a stream is written by itself, one a turn of the loop, PACE_US microseconds (default 0) after the one before; so a client
 * that keeps up reads them one by one. A request's body needs a Content-Length.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS = 35, MAX_EVENTS = CHUNKS + 8, INPUT_TOKENS = 20, HEAD_MAX = 1 << 16, BODY_MAX = 1 << 26 };

struct text {
	char *data;
	size_t len;
};

struct script { /* a stream: its head, its events, each with the frame of a chunk */
	struct text head, events[MAX_EVENTS];
	int count;
};

struct connection {
	int fd, step;                        /* of the stream it is being sent */
	const struct script *stream;         /* NULL: none */
	long due;                            /* microseconds: its next event */
	struct text in, out;                 /* what came and is not answered; what is not yet taken by the kernel */
	size_t in_room, out_room;
	struct connection *next;             /* of those that are being streamed to */
	int gone;
};

static struct text chat, message, unframed, models;
static struct script chat_stream, chat_stream_usage, message_stream;
static struct connection *streaming, **last = &streaming;
static long pace, asked, requests, streams, connections; /* asked: came with the key; requests: answered in full, streams among them */
static const char *key = "";
static int loop;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static long now(void) {
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000L + at.tv_nsec / 1000;
}

static struct text made(char *data) {
	return (struct text){data, strlen(data)};
}

static struct text answer(const char *status, const char *kind, const char *body) {
	char *data;
	if (asprintf(&data, "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nx-request-id: req_1\r\n\r\n%s", status, kind, strlen(body), body) < 0)
		die("asprintf");
	return made(data);
}

static void add(struct script *to, const char *event) {
	char *data;
	if (asprintf(&data, "%zx\r\n%s\r\n", strlen(event), event) < 0)
		die("asprintf");
	to->events[to->count++] = made(data);
}

static void end(struct script *to) { /* the last chunk goes with the last event, as servers do */
	struct text *event = &to->events[to->count - 1];
	char *data;
	if (asprintf(&data, "%s0\r\n\r\n", event->data) < 0)
		die("asprintf");
	free(event->data);
	*event = made(data);
	to->head = made("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\nx-request-id: req_1\r\n\r\n");
}

#define CHUNK "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"gpt-4.1\",\"system_fingerprint\":\"fp_1\",\"choices\":["
#define CHOICE(delta, finish) CHUNK "{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}]}\n\n"
#define USAGE "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":35,\"total_tokens\":55,\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}"

static void make_chat(struct script *to, int usage) {
	add(to, CHOICE("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null"));
	for (int n = 0; n < CHUNKS; n++)
		add(to, CHOICE("\"content\":\" token\"", "null"));
	add(to, CHOICE("", "\"stop\""));
	if (usage)
		add(to, CHUNK "]," USAGE "}\n\n");
	add(to, "data: [DONE]\n\n");
	end(to);
}

#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"

static void make_message(struct script *to) {
	add(to, EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],"
	    "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}"));
	add(to, EVENT("content_block_start", ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}"));
	for (int n = 0; n < CHUNKS; n++)
		add(to, EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" token\"}"));
	add(to, EVENT("content_block_stop", ",\"index\":0"));
	add(to, EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":35}"));
	add(to, EVENT("message_stop", ""));
	end(to);
}

static void make_answers(void) {
	char words[CHUNKS * 6 + 1] = "", body[2048];
	for (int n = 0; n < CHUNKS; n++)
		strcat(words, " token");
	snprintf(body, sizeof body,
	    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1767225600,\"model\":\"gpt-4.1\",\"choices\":[{\"index\":0,\"message\":"
	    "{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE
	    ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_1\"}", words);
	chat = answer("200 OK", "application/json", body);
	snprintf(body, sizeof body,
	    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],"
	    "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,\"output_tokens\":35}}", words);
	message = answer("200 OK", "application/json", body);
	models = answer("200 OK", "application/json", "{\"object\":\"list\",\"data\":[]}");
	unframed = answer("411 Length Required", "application/json", "{\"error\":{\"message\":\"Content-Length\",\"type\":\"invalid_request_error\"}}");
	make_chat(&chat_stream, 0);
	make_chat(&chat_stream_usage, 1);
	make_message(&message_stream);
}

/* -- writing ---------------------------------------------------------------------------------------------------------------------- */

static void grown(struct text *text, size_t *room, size_t wanted) {
	if (wanted > *room) {
		*room = wanted * 2;
		if (!(text->data = realloc(text->data, *room)))
			die("realloc");
	}
}

static void watch(struct connection *to) {
	struct epoll_event event = {.events = EPOLLIN | (to->out.len ? EPOLLOUT : 0), .data.ptr = to};
	epoll_ctl(loop, EPOLL_CTL_MOD, to->fd, &event);
}

static void keep(struct connection *to, const char *data, size_t len) {
	grown(&to->out, &to->out_room, to->out.len + len);
	memcpy(to->out.data + to->out.len, data, len);
	to->out.len += len;
}

static void give(struct connection *to, struct text what) {
	ssize_t taken = to->out.len ? 0 : send(to->fd, what.data, what.len, MSG_NOSIGNAL);
	if (taken < 0 && errno != EAGAIN)
		to->gone = 1;
	else if (taken < (ssize_t)what.len) {
		taken = taken < 0 ? 0 : taken;
		keep(to, what.data + taken, what.len - taken);
		watch(to);
	}
}

static void flush(struct connection *to) {
	ssize_t taken = send(to->fd, to->out.data, to->out.len, MSG_NOSIGNAL);
	if (taken < 0) {
		to->gone |= errno != EAGAIN;
		return;
	}
	memmove(to->out.data, to->out.data + taken, to->out.len -= taken);
	if (!to->out.len)
		watch(to);
}

/* -- one request ------------------------------------------------------------------------------------------------------------------ */

static int starts(struct text text, const char *with) {
	size_t len = strlen(with);
	return text.len >= len && !memcmp(text.data, with, len);
}

static int holds(const char *data, size_t len, const char *what) {
	return memmem(data, len, what, strlen(what)) != NULL;
}

static void count(struct connection *to) {
	char body[256];
	snprintf(body, sizeof body, "{\"asked\":%ld,\"requests\":%ld,\"streams\":%ld,\"input_tokens\":%ld,\"output_tokens\":%ld,\"connections\":%ld}", asked, requests,
	    streams, requests * INPUT_TOKENS, requests * CHUNKS, connections);
	struct text said = answer("200 OK", "application/json", body);
	give(to, said);
	free(said.data);
}

static void begin(struct connection *to, const struct script *stream) {
	to->stream = stream;
	to->step = 0;
	to->due = now() + pace;
	to->next = NULL;
	*last = to;
	last = &to->next;
	give(to, stream->head);
}

static void reply(struct connection *to, size_t head, size_t len) {
	const char *body = to->in.data + head;
	int own = starts(to->in, "POST /v1/messages "), known = own || starts(to->in, "POST /v1/chat/completions ");
	asked += known && holds(to->in.data, head, key);
	if (starts(to->in, "GET /count")) {
		count(to);
	} else if (!known) {
		give(to, models);
	} else if (holds(body, len, "\"stream\":true") || holds(body, len, "\"stream\": true")) {
		int usage = holds(body, len, "include_usage");
		begin(to, own ? &message_stream : usage ? &chat_stream_usage : &chat_stream);
	} else {
		give(to, own ? message : chat);
		requests++;
	}
}

static long body_length(const char *head, size_t len) { /* -1: chunked */
	for (const char *line = head; (line = memchr(line, '\n', head + len - line)); ) {
		line++;
		if (!strncasecmp(line, "content-length:", 15))
			return atol(line + 15);
		if (!strncasecmp(line, "transfer-encoding:", 18))
			return -1;
	}
	return 0;
}

static int take(struct connection *from) { /* one whole request, when it is there */
	char *end_of_head = memmem(from->in.data, from->in.len, "\r\n\r\n", 4);
	if (!end_of_head)
		return from->gone = from->in.len > HEAD_MAX, 0;
	size_t head = end_of_head + 4 - from->in.data;
	long body = body_length(from->in.data, head);
	if (body < 0 || body > BODY_MAX)
		return give(from, unframed), from->gone = 1, 0;
	if (from->in.len < head + body)
		return 0;
	reply(from, head, body);
	memmove(from->in.data, from->in.data + head + body, from->in.len -= head + body);
	return 1;
}

static void read_from(struct connection *from) {
	grown(&from->in, &from->in_room, from->in.len + 16384);
	ssize_t came = recv(from->fd, from->in.data + from->in.len, from->in_room - from->in.len, 0);
	if (came <= 0) {
		from->gone |= came == 0 || errno != EAGAIN;
		return;
	}
	from->in.len += came;
	while (!from->stream && !from->gone && take(from))
		;
}

/* -- the loop --------------------------------------------------------------------------------------------------------------------- */

static void close_connection(struct connection *gone) {
	close(gone->fd);
	free(gone->in.data);
	free(gone->out.data);
	free(gone);
}

static void step_streams(void) { /* the next event of each stream that is due; those that ended or whose client left go */
	long at = pace ? now() : 0;
	struct connection *one = streaming;
	streaming = NULL;
	last = &streaming;
	for (struct connection *next; one; one = next) {
		next = one->next;
		one->next = NULL;
		if (one->gone) {
			close_connection(one);
			continue;
		}
		if (!pace || one->due <= at) {
			give(one, one->stream->events[one->step++]);
			one->due += pace;
		}
		if (one->step < one->stream->count || one->gone) {
			*last = one;
			last = &one->next;
			continue;
		}
		one->stream = NULL;
		requests++, streams++;
		while (!one->stream && !one->gone && one->in.len && take(one))
			;
	}
}

static int patience(void) { /* milliseconds until a stream is due; with a pace below that the loop turns all the time */
	if (!streaming)
		return -1;
	long left = pace ? streaming->due - now() : 0;
	return left > 1000 ? (int)(left / 1000) : 0;
}

static void admit(int listener) {
	int fd, yes = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		struct connection *made = calloc(1, sizeof *made);
		if (!made)
			die("calloc");
		made->fd = fd;
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = made};
		epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
		connections++;
	}
}

static int listening(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&address, &len))
		die("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv) {
	struct epoll_event events[256];
	pace = argc > 1 ? atol(argv[1]) : 0;
	if (argc > 2 && asprintf((char **)&key, "Bearer %s", argv[2]) < 0)
		die("asprintf");
	make_answers();
	int listener = listening();
	loop = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int ready = epoll_wait(loop, events, 256, patience());
		for (int n = 0; n < ready; n++) {
			struct connection *one = events[n].data.ptr;
			if (!one) {
				admit(listener);
				continue;
			}
			if (events[n].events & EPOLLOUT)
				flush(one);
			if (events[n].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				read_from(one);
			if (one->gone) {
				epoll_ctl(loop, EPOLL_CTL_DEL, one->fd, NULL);
				if (!one->stream) /* else it is in the list, and goes from there */
					close_connection(one);
			}
		}
		step_streams();
	}
}
