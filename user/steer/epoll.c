#include "way.h"
const struct steer_way_steps steer_by_epoll = {};
