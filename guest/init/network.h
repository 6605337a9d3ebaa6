#pragma once

#include "init/status.h"

namespace init {

// Gives the cards that the host names by MAC address their names and MTU, and turns the loopback on.
Status name_cards(const google::protobuf::RepeatedPtrField<agent::Card>& cards);

// Configures one card: MAC address, addresses, up, routes.
Status configure_card(const agent::Network& network);

}  // namespace init
