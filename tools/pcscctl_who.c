/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl who: which programs use which reader, and who waits for whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/pcscctl.h"
#include "tools/process.h"
#include "tools/report.h"

static const char *const keys[] = { "name", "sharing", "holder", "running", "handles", "queue",
	NULL };

static void add_if_any(json_object *client, const char *key, const char *text)
{
	if (*text)
		json_object_object_add(client, key, json_object_new_string(text));
}

/* A client with a pid is looked up; others are somebody else's business. */
static void describe_client(json_object *client)
{
	json_object *pid = json_object_object_get(client, "pid");
	struct process process;

	if (!pid)
		return;
	process_look_up((pid_t)json_object_get_int(pid), &process);
	add_if_any(client, "unit", process.unit);
	add_if_any(client, "flatpak", process.flatpak);
	add_if_any(client, "snap", process.snap);
}

static size_t count_of(json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static void describe_clients(json_object *list)
{
	size_t count = count_of(list);

	for (size_t i = 0; i < count; i++)
		describe_client(json_object_array_get_idx(list, i));
}

/* Does it wait for that reader, or for all? */
static bool waits_for(json_object *waiter, const char *name)
{
	json_object *names = json_object_object_get(waiter, "readers");
	size_t count = count_of(names);

	for (size_t i = 0; i < count; i++) {
		const char *one = json_object_get_string(json_object_array_get_idx(names, i));

		if (one && strcmp(one, name) == 0)
			return true;
	}
	return !names;
}

static json_object *waiters_for(json_object *waiters, const char *name)
{
	static const char *const client_keys[] = { "program", "pid", "uid", NULL };
	json_object *list = json_object_new_array();
	size_t count = json_object_array_length(waiters);

	for (size_t i = 0; i < count; i++) {
		json_object *waiter = json_object_array_get_idx(waiters, i);

		if (waits_for(waiter, name))
			json_object_array_add(list, report_pick(waiter, client_keys));
	}
	return list;
}

static json_object *describe_reader(json_object *from, json_object *waiters)
{
	json_object *reader = report_pick(from, keys);

	json_object_object_add(
		reader, "waiters", waiters_for(waiters, report_text(reader, "name")));
	describe_client(json_object_object_get(reader, "holder"));
	describe_client(json_object_object_get(reader, "running"));
	describe_clients(json_object_object_get(reader, "handles"));
	describe_clients(json_object_object_get(reader, "queue"));
	describe_clients(json_object_object_get(reader, "waiters"));
	return reader;
}

static void print_detail(json_object *client, const char *key)
{
	if (*report_text(client, key))
		printf(", %s %s", key, report_text(client, key));
}

/* One line; detail: the member that says what it has to do with the reader, or NULL. */
static void print_client(const char *label, json_object *client, const char *detail)
{
	json_object *time = json_object_object_get(client, "for_ms");

	if (!client)
		return;
	printf("  %-8s ", label);
	if (detail)
		printf("%s ", report_text(client, detail));
	if (time)
		printf("for %.1f s ", (double)json_object_get_int64(time) / 1000);
	if (!json_object_object_get(client, "pid")) {
		printf("%s, of another user\n", report_text(client, "program"));
		return;
	}
	printf("pid %s (%s), uid %s", report_text(client, "pid"), report_text(client, "program"),
		report_text(client, "uid"));
	print_detail(client, "unit");
	print_detail(client, "flatpak");
	print_detail(client, "snap");
	printf("\n");
}

static void print_clients(const char *label, json_object *list, const char *detail)
{
	size_t count = count_of(list);

	for (size_t i = 0; i < count; i++)
		print_client(label, json_object_array_get_idx(list, i), detail);
}

static void print_reader(json_object *reader)
{
	printf("%s: %s\n", report_text(reader, "name"), report_text(reader, "sharing"));
	print_client("held", json_object_object_get(reader, "holder"), "reason");
	print_client("running", json_object_object_get(reader, "running"), "wants");
	print_clients("handle", json_object_object_get(reader, "handles"), "mode");
	print_clients("queued", json_object_object_get(reader, "queue"), "wants");
	print_clients("waiting", json_object_object_get(reader, "waiters"), NULL);
}

int pcscctl_who(const struct pcscctl *options)
{
	json_object *report = report_fetch(options->socket);
	json_object *readers = json_object_object_get(report, "readers");
	json_object *waiters = json_object_object_get(report, "waiters");
	json_object *list;
	size_t count;

	if (!report)
		return EXIT_FAILURE;
	list = json_object_new_array();
	count = json_object_array_length(readers);
	for (size_t i = 0; i < count; i++) {
		json_object *reader =
			describe_reader(json_object_array_get_idx(readers, i), waiters);

		json_object_array_add(list, reader);
		if (!options->json)
			print_reader(reader);
	}
	json_object_put(report);
	if (options->json)
		return report_print_json(list);
	json_object_put(list);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
