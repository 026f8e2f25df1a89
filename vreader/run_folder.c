/* SPDX-License-Identifier: BSD-3-Clause */
#include "vreader/run_folder.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool complain(const char *what)
{
	fprintf(stderr, "vreader: %s: %s\n", what, strerror(errno));
	return false;
}

bool run_folder_make(struct run_folder *f)
{
	const char *base = getenv("TMPDIR");
	int n;

	*f = (struct run_folder){ 0 };
	if (!base || !*base)
		base = "/tmp";
	n = snprintf(f->path, sizeof(f->path), "%s/vreader-XXXXXX", base);
	/* reader.conf has no way to write a quotation mark. */
	if (n >= (int)sizeof(f->path) || strpbrk(base, "\"\n") || *base != '/') {
		fprintf(stderr, "vreader: TMPDIR is of no use for sockets: %s\n", base);
		f->path[0] = '\0';
		return false;
	}
	if (!mkdtemp(f->path)) {
		complain(base);
		f->path[0] = '\0';
		return false;
	}
	snprintf(f->usbip, sizeof(f->usbip), "unix:%s/usbip", f->path);
	snprintf(f->ctl, sizeof(f->ctl), "%s/ctl", f->path);
	snprintf(f->pcscd, sizeof(f->pcscd), "%s/pcscd.comm", f->path);
	snprintf(f->conf, sizeof(f->conf), "%s/reader.conf", f->path);
	snprintf(f->drivers, sizeof(f->drivers), "%s/drivers", f->path);
	return mkdir(f->drivers, 0700) == 0 || complain(f->drivers);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	remove(path);
	return 0;
}

void run_folder_remove(struct run_folder *f)
{
	if (f->path[0])
		nftw(f->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	f->path[0] = '\0';
}

/* Names of other makers' readers get a word that says what they are. */
static void print_name(FILE *out, const char *product)
{
	fprintf(out, "FRIENDLYNAME \"%s", strstr(product, "irtual") ? "" : "Virtual ");
	for (; *product; product++)
		fputc(*product == '"' || (unsigned char)*product < ' ' ? '_' : *product, out);
	fputs("\"\n", out);
}

static void print_reader(FILE *out, const struct run_folder *f, const struct profile *p,
	size_t number, const char *driver)
{
	for (size_t i = 0; i < p->interface_count; i++) {
		print_name(out, p->product);
		fprintf(out, "DEVICENAME \"usbip:%s/1-%zu", f->usbip, number + 1);
		if (p->interface_count > 1)
			fprintf(out, ":1.%u", p->interfaces[i].number);
		fprintf(out, "\"\nLIBPATH \"%s\"\n\n", driver);
	}
}

bool run_folder_write_conf(
	const struct run_folder *f, const struct service_options *service, const char *driver)
{
	FILE *out = fopen(f->conf, "we");

	if (!out)
		return complain(f->conf);
	for (size_t i = 0; i < service->readers; i++)
		print_reader(out, f, &service->profile, i, driver);
	return fclose(out) == 0 || complain(f->conf);
}
