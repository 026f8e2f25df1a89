/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/firmware/profile_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "vreader/hex.h"

/* Where a fault is told. */
struct fault {
	const char *path;
	char *why;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool fail(
	const struct fault *f, const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	snprintf(f->why, f->size, "%s: %s", f->path, what);
	return false;
}

static const char *get_string(json_object *o, const char *key)
{
	json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
		return "";
	return json_object_get_string(v);
}

/* A number from 0 to max; absent when the key is missing, null or something else. */
static bool get_number(json_object *o, const char *key, int64_t max, int64_t *value)
{
	json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int))
		return false;
	*value = json_object_get_int64(v);
	return *value >= 0 && *value <= max;
}

static bool get_flag(json_object *o, const char *key)
{
	json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_get_boolean(v);
}

static bool get_hex16(json_object *o, const char *key, uint16_t *value)
{
	const char *s = get_string(o, key);
	char *end;
	unsigned long v = strtoul(s, &end, 16);

	if (end == s || *end || v > 0xFFFF)
		return false;
	*value = (uint16_t)v;
	return true;
}

/* Strings become Latin-1 bytes in the descriptor; what does not fit there is written as '?'. */
static void copy_string(char *out, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s && n + 1 < size; s++) {
		if ((*s & 0xC0) == 0x80)
			continue;
		out[n++] = (char)(*s & 0x80 ? '?' : *s);
	}
	out[n] = '\0';
}

static size_t get_list(json_object *o, const char *key, uint32_t *list)
{
	json_object *array;
	size_t count, n = 0;

	if (!json_object_object_get_ex(o, key, &array) ||
		!json_object_is_type(array, json_type_array))
		return 0;
	count = json_object_array_length(array);
	for (; n < count && n < PROFILE_LIST_MAX; n++)
		list[n] = (uint32_t)json_object_get_int64(json_object_array_get_idx(array, n));
	return n;
}

/* Bytes in hexadecimal, none when the key is missing. False: too many, or something else. */
static bool get_bytes(json_object *o, const char *key, uint8_t *bytes, size_t max, size_t *len)
{
	return hex_parse(get_string(o, key), bytes, max, len);
}

static bool get_ccid(json_object *o, const char *key, uint8_t ccid[CCID_DESC_SIZE])
{
	size_t len;

	return get_bytes(o, key, ccid, CCID_DESC_SIZE, &len) && len == CCID_DESC_SIZE;
}

static bool add_interface(json_object *o, struct profile *p, const struct fault *f)
{
	struct profile_interface *intf = &p->interfaces[p->interface_count];
	json_object *d, *location;
	int64_t number, cls, subclass, protocol, endpoints, slots;

	if (p->interface_count == PROFILE_INTERFACES_MAX)
		return fail(f, "more than %d interfaces in one device", PROFILE_INTERFACES_MAX);
	if (!json_object_object_get_ex(o, "interface", &d) ||
		!get_number(d, "bInterfaceNumber", 255, &number) ||
		!get_number(d, "bInterfaceClass", 255, &cls) ||
		!get_number(d, "bInterfaceSubClass", 255, &subclass) ||
		!get_number(d, "bInterfaceProtocol", 255, &protocol) ||
		!get_number(d, "bNumEndpoints", 3, &endpoints))
		return fail(f, "%s: no usable \"interface\"", get_string(o, "file"));
	if (!get_ccid(o, "ccid_descriptor_hex", intf->ccid))
		return fail(f, "%s: \"ccid_descriptor_hex\" is not %d bytes", get_string(o, "file"),
			CCID_DESC_SIZE);
	intf->lies = json_object_object_get_ex(o, "shown_descriptor_hex", NULL);
	if (intf->lies && !get_ccid(o, "shown_descriptor_hex", intf->shown))
		return fail(f, "%s: \"shown_descriptor_hex\" is not %d bytes",
			get_string(o, "file"), CCID_DESC_SIZE);
	if (!get_bytes(o, "block_escape_hex", intf->block_escape, PROFILE_ESCAPE_MAX,
		    &intf->block_escape_len))
		return fail(f, "%s: \"block_escape_hex\" is not at most %d bytes",
			get_string(o, "file"), PROFILE_ESCAPE_MAX);
	intf->number = (uint8_t)number;
	intf->cls = (uint8_t)cls;
	intf->subclass = (uint8_t)subclass;
	intf->protocol = (uint8_t)protocol;
	intf->endpoints = (uint8_t)endpoints;
	copy_string(intf->name, sizeof(intf->name), get_string(o, "iInterface"));
	intf->clock_count = get_list(o, "clock_frequencies_khz", intf->clocks);
	intf->rate_count = get_list(o, "data_rates_bps", intf->rates);
	if (get_number(o, "contactless_slots", UINT32_MAX, &slots))
		intf->contactless = (uint32_t)slots;
	intf->exclusive = get_flag(o, "exclusive_slots");
	intf->raw = get_flag(o, "raw_commands");
	intf->place = PLACE_AFTER_INTERFACE;
	if (json_object_object_get_ex(o, "descriptor_location", &location) &&
		strcmp(get_string(location, "where"), "last_endpoint_extra") == 0)
		intf->place = PLACE_AFTER_ENDPOINTS;
	p->interface_count++;
	return true;
}

static bool set_device(json_object *o, struct profile *p, const struct fault *f)
{
	if (!get_hex16(o, "vid", &p->vid) || !get_hex16(o, "pid", &p->pid) ||
		!get_hex16(o, "bcdDevice", &p->bcd))
		return fail(
			f, "%s: vid, pid or bcdDevice is not hexadecimal", get_string(o, "file"));
	if (!get_bytes(o, "mode_switch_hex", p->mode_switch.request, PROFILE_SWITCH_MAX,
		    &p->mode_switch.len) ||
		(p->mode_switch.len && !get_hex16(o, "mode_switch_pid", &p->mode_switch.pid)))
		return fail(f, "%s: \"mode_switch_hex\" and \"mode_switch_pid\" are no request",
			get_string(o, "file"));
	copy_string(p->manufacturer, sizeof(p->manufacturer), get_string(o, "iManufacturer"));
	copy_string(p->product, sizeof(p->product), get_string(o, "iProduct"));
	snprintf(p->serial, sizeof(p->serial), "virtual");
	return true;
}

static bool is_selected(json_object *o, const char *select)
{
	char id[64];

	if (!select)
		return true;
	snprintf(id, sizeof(id), "%s:%s", get_string(o, "vid"), get_string(o, "pid"));
	return strcmp(select, get_string(o, "file")) == 0 || strcasecmp(select, id) == 0;
}

static bool build(json_object *array, const char *select, struct profile *p, const struct fault *f)
{
	size_t count = json_object_array_length(array);
	const char *file = NULL;

	for (size_t i = 0; i < count; i++) {
		json_object *o = json_object_array_get_idx(array, i);

		if (!json_object_is_type(o, json_type_object))
			return fail(f, "element %zu is not an object", i);
		if (file ? strcmp(file, get_string(o, "file")) != 0 : !is_selected(o, select))
			continue;
		if (!file && !set_device(o, p, f))
			return false;
		file = get_string(o, "file");
		if (!add_interface(o, p, f))
			return false;
		/* Without a file name nothing says that two interfaces belong together. */
		if (!*file)
			break;
	}
	return file || fail(f, "no reader %s", select ? select : "in it");
}

bool profile_json_load(
	const char *path, const char *select, struct profile *p, char *why, size_t why_size)
{
	struct fault f = { path, why, why_size };
	json_object *root = json_object_from_file(path);
	bool ok;

	*p = (struct profile){ 0 };
	if (!root && access(path, R_OK) < 0)
		return fail(&f, "%s", strerror(errno));
	if (!root)
		return fail(&f, "cannot be read as JSON");
	if (json_object_is_type(root, json_type_array))
		ok = build(root, select, p, &f);
	else
		ok = fail(&f, "not an array of readers");
	json_object_put(root);
	return ok;
}
