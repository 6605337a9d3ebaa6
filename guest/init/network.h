#pragma once

#include "init/status.h"

namespace init {

// Turns the loopback on, and gives the first card the MTU that the host wants in nearly every VM, so that name_cards finds it set.
Status prepare_cards();

// Gives the cards that the host names by MAC address their names and MTU; removes the others, which lead nowhere.
Status name_cards(const google::protobuf::RepeatedPtrField<agent::Card>& cards);

// Configures one card: MAC address, addresses, up, routes.
Status configure_card(const agent::Network& network);

// The traffic of all cards.
agent::Traffic count_traffic();

}  // namespace init
