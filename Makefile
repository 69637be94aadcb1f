# Copyright (c) 2026, the fleetbackup.borg maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
RUN := python3 tests/run.py
# A command line such as `make test-integration HOSTS=debian13` reaches the runner as environment variables.
export HOSTS TARGETS SCENARIO KEEP LAB_NAME

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: quickstart
quickstart: ## Back up a folder of this machine and prove it by a restore; FOLDER=/path
	@python3 scripts/quickstart.py $(if $(FOLDER),--folder "$(FOLDER)")

.PHONY: quickstart-clean
quickstart-clean: ## Remove every trace of the quick start
	@python3 scripts/quickstart.py --clean

.PHONY: test
test: ## Run every test; as root it installs what is missing
	@$(RUN) all

.PHONY: lint
lint: ## Run the linters, the documentation checks and Galaxy's importer
	@$(RUN) lint

.PHONY: sanity
sanity: ## Run ansible-test sanity on two releases of ansible-core
	@$(RUN) sanity

.PHONY: test-unit
test-unit: ## Run the unit tests on four releases of ansible-core
	@$(RUN) unit

.PHONY: test-integration
test-integration: ## Run the integration targets; narrow with TARGETS="a b" HOSTS=debian13
	@$(RUN) integration

.PHONY: test-molecule
test-molecule: ## Run the molecule scenarios; narrow with SCENARIO="a b"
	@$(RUN) molecule

.PHONY: test-attacks
test-attacks: ## Attack a backup server as one of its clients, and take its defences away to see the tests notice
	@SCENARIO=attacks $(RUN) molecule

.PHONY: bench
bench: ## Measure what the modules cost
	@$(RUN) bench

.PHONY: bench-fleet
bench-fleet: ## Measure what a converged fleet costs, over real SSH
	@$(RUN) bench-fleet

.PHONY: lab
lab: ## Boot a backup server, two clients and their controller, to play with
	@$(RUN) lab

.PHONY: lab-shell
lab-shell: ## Open a shell on the controller of the lab
	@docker exec -it $(or $(LAB_NAME),fleetbackup-lab)-controller bash

.PHONY: lab-down
lab-down: ## Remove the lab
	@$(RUN) lab-down

.PHONY: test-machines
test-machines: ## Boot the test machines and leave them running
	@$(RUN) machines

.PHONY: test-machines-down
test-machines-down: ## Remove the test machines
	@$(RUN) machines-down

.PHONY: test-images
test-images: ## Build the images of the test machines
	@$(RUN) images

.PHONY: clean
clean: ## Remove test machines, images, caches and logs
	@$(RUN) clean
