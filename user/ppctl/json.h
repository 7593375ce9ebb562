/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short names for what is done to JSON objects most often. A key that is not there reads as 0, or
 * "".
 */
#ifndef PPCTL_JSON_H
#define PPCTL_JSON_H

#include <stdint.h>

#include <json-c/json.h>

static inline void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static inline void add_number(struct json_object *object, const char *key, int64_t value)
{
	json_object_object_add(object, key, json_object_new_int64(value));
}

static inline void add_boolean(struct json_object *object, const char *key, int value)
{
	json_object_object_add(object, key, json_object_new_boolean(!!value));
}

static inline struct json_object *value_of(struct json_object *object, const char *key)
{
	return json_object_object_get(object, key);
}

static inline const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value = value_of(object, key);

	return value ? json_object_get_string(value) : "";
}

static inline int64_t number_of(struct json_object *object, const char *key)
{
	return json_object_get_int64(value_of(object, key));
}

static inline int is_true(struct json_object *object, const char *key)
{
	return json_object_get_boolean(value_of(object, key));
}

/* Entries of the array @key of @object; there may be no such array. */
static inline size_t length_of(struct json_object *object, const char *key)
{
	struct json_object *list = value_of(object, key);

	return list ? json_object_array_length(list) : 0;
}

static inline struct json_object *entry_of(struct json_object *object, const char *key, size_t i)
{
	return json_object_array_get_idx(value_of(object, key), i);
}

#endif
