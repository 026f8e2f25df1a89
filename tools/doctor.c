/* SPDX-License-Identifier: BSD-3-Clause */
/* pcscctl doctor: the table of checks, and how their findings are told. */
#include "tools/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/doctor_checks.h"
#include "tools/pcscctl.h"
#include "tools/report.h"
#include "tools/text.h"

static const struct check {
	const char *name;
	void (*run)(struct doctor *doctor);
} checks[] = {
	{ "service", doctor_check_service }, /* first: it asks the daemon for its status */
	{ "daemon", doctor_check_daemon },
	{ "version", doctor_check_version },
	{ "library", doctor_check_library },
	{ "polkit", doctor_check_polkit },
	{ "access", doctor_check_access },
	{ "config", doctor_check_config },
	{ "udev", doctor_check_udev },
	{ "node", doctor_check_node },
	{ "interface", doctor_check_interface },
	{ "listed", doctor_check_listed },
};

static void add(struct doctor *doctor, const char *verdict, const char *remedy, const char *format,
	va_list args)
{
	json_object *finding = json_object_new_object();
	char what[DOCTOR_TEXT];

	vsnprintf(what, sizeof(what), format, args);
	text_clean(what);
	json_object_object_add(finding, "check", json_object_new_string(doctor->check));
	json_object_object_add(finding, "verdict", json_object_new_string(verdict));
	json_object_object_add(finding, "what", json_object_new_string(what));
	json_object_object_add(finding, "remedy", json_object_new_string(remedy));
	json_object_array_add(doctor->findings, finding);
}

void doctor_good(struct doctor *doctor, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "good", "", format, args);
	va_end(args);
}

void doctor_fault(struct doctor *doctor, const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "fault", remedy, format, args);
	va_end(args);
}

void doctor_skip(struct doctor *doctor, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(doctor, "skipped", "", format, args);
	va_end(args);
}

const char *doctor_path(const struct doctor *doctor, char path[PATH_MAX], const char *format, ...)
{
	int used = snprintf(path, PATH_MAX, "%s/", doctor->place->root);
	va_list args;

	if (used < 0 || used >= PATH_MAX)
		used = 0;
	va_start(args, format);
	vsnprintf(path + used, (size_t)(PATH_MAX - used), format, args);
	va_end(args);
	return path;
}

bool doctor_exists(const struct doctor *doctor, const char *path)
{
	char full[PATH_MAX];

	return access(doctor_path(doctor, full, "%s", path), F_OK) == 0;
}

bool doctor_exists_in_lib(const struct doctor *doctor, const char *path)
{
	static const char *const folders[] = { "etc", "run", "usr/local/lib", "usr/lib", "lib" };
	char full[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (access(doctor_path(doctor, full, "%s/%s", folders[i], path), F_OK) == 0)
			return true;
	}
	return false;
}

bool doctor_has_systemd(const struct doctor *doctor)
{
	return doctor_exists(doctor, "run/systemd/system");
}

bool doctor_in_container(const struct doctor *doctor)
{
	return doctor_exists(doctor, "run/systemd/container") ||
	       doctor_exists(doctor, "run/.containerenv") || doctor_exists(doctor, ".dockerenv");
}

json_object *doctor_examine(const struct doctor_place *place)
{
	struct doctor doctor = { .place = place, .findings = json_object_new_array() };

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		doctor.check = checks[i].name;
		checks[i].run(&doctor);
	}
	json_object_put(doctor.status);
	return doctor.findings;
}

static size_t count_faults(json_object *findings)
{
	size_t count = json_object_array_length(findings);
	size_t faults = 0;

	for (size_t i = 0; i < count; i++) {
		json_object *finding = json_object_array_get_idx(findings, i);

		faults += strcmp(report_text(finding, "verdict"), "fault") == 0;
	}
	return faults;
}

bool doctor_print(json_object *findings, FILE *out)
{
	size_t count = json_object_array_length(findings);
	size_t faults = count_faults(findings);

	for (size_t i = 0; i < count; i++) {
		json_object *finding = json_object_array_get_idx(findings, i);
		const char *remedy = report_text(finding, "remedy");

		fprintf(out, "%-8s %-10s %s\n", report_text(finding, "verdict"),
			report_text(finding, "check"), report_text(finding, "what"));
		if (*remedy)
			fprintf(out, "%-8s %-10s -> %s\n", "", "", remedy);
	}
	fprintf(out, faults == 0 ? "No fault found.\n" : "%zu %s found.\n", faults,
		faults == 1 ? "fault" : "faults");
	return faults == 0;
}

static bool print_json(json_object *findings)
{
	json_object *json = json_object_new_object();
	bool healthy = count_faults(findings) == 0;

	json_object_object_add(json, "findings", json_object_get(findings));
	puts(json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
	return healthy;
}

int pcscctl_doctor(const struct pcscctl *options)
{
	const struct doctor_place place = { .socket = options->socket, .root = options->root };
	json_object *findings = doctor_examine(&place);
	bool healthy = options->json ? print_json(findings) : doctor_print(findings, stdout);

	json_object_put(findings);
	return fflush(stdout) == 0 && healthy ? EXIT_SUCCESS : EXIT_FAILURE;
}
