# Trains and exports the shipped models: `make models`, or `make models MODELS="day-to-night ..."` for some of them.
#
# Reads the images below PIXLATE_DATA, writes one run folder per recipe below runs/, and the ONNX files into the plugins' models folders. An interrupted
# run is resumed. FREE_PHOTOGRAPHS may name a folder of photographs under free licences, such as those of Debian's wallpaper packages: photo-x4-free is made of them alone,
# photo-x4, photo-x2, clean, brighten and the upscalers of them too. Needs hours on two cores.
PIXLATE := $(PYTHON) -m pixlate
ifndef PIXLATE_DATA
$(error expected PIXLATE_DATA to name the folder that holds photos/, scenes/, drawings/, night/ and sketches/; set it and run again)
endif

LICENCE := non-commercial research and education, as the training photographs
PHOTOGRAPHS := BSDS500 train (200 photographs)
REAL_PHOTOGRAPHS := BSDS500 train and 180 of test (380 photographs), Sun-Hays 80 (80), free photographs of Debian packages (34)
FREE := 34 photographs of Debian packages under CC0, CC BY, CC BY-SA and GPL
DRAWINGS := $(PHOTOGRAPHS) with human contours and line drawings
EMOJI := OpenMoji 17, 1,779 drawings and the same in colour
DAYS_AND_NIGHTS := $(PHOTOGRAPHS) and 200 other photographs graded as night, unpaired

SHARP := runs/photographs "$(PIXLATE_DATA)/scenes" $(FREE_PHOTOGRAPHS)
PAIRS := runs/sketch-to-photo-pairs
EMOJI_PAIRS := "$(PIXLATE_DATA)/drawings/train/line" "$(PIXLATE_DATA)/drawings/train/colour"
DAYS := "$(PIXLATE_DATA)/photos/train" "$(PIXLATE_DATA)/night"

# $(call train,method,recipe,folders,run or ready model to start from): trains a recipe, or resumes it.
train = if [ -d runs/$(2)/checkpoints ]; then $(PIXLATE) train --resume runs/$(2); else \
	$(PIXLATE) --config plugins/pixlate_$(1)/recipes/$(2).toml train $(1) $(3) --out runs/$(2) $(if $(4),--start-from $(4)); fi

# $(call export_model,method,run or checkpoint,model,generator,data): writes a model's file.
export_model = $(PIXLATE) export $(2) plugins/pixlate_$(1)/models/$(3).onnx --generator $(4) --data "$(5)" --licence "$(LICENCE)" --io float

.PHONY: all upscale-x2 upscale-x4 photo-x4 photo-x2 photo-x4-free clean brighten colour-drawing sketch-to-photo day-to-night night-to-day
.PHONY: run-photo-x4-first run-photo-x4-free-first run-clean-first run-clean-second run-colour-drawing-first run-sketch-to-photo-first
all: upscale-x2 upscale-x4 photo-x4 photo-x2 clean brighten colour-drawing sketch-to-photo day-to-night

upscale-x2: runs/photographs
	$(call train,srgan,upscale-x2,$(SHARP),photo-x2)
	$(call export_model,srgan,runs/upscale-x2,upscale-x2,source_to_target,$(REAL_PHOTOGRAPHS))

upscale-x4: runs/photographs
	$(call train,srgan,upscale-x4,$(SHARP),photo-x4)
	$(call export_model,srgan,runs/upscale-x4,upscale-x4,source_to_target,$(REAL_PHOTOGRAPHS))

photo-x4: run-photo-x4-first
	$(call train,srgan,photo-x4,$(SHARP),runs/photo-x4-first)
	$(PIXLATE) export runs/photo-x4 runs/photo-x4.onnx --data "$(REAL_PHOTOGRAPHS)" --licence "$(LICENCE)" --io float
	$(PIXLATE) export runs/photo-x4-first runs/photo-x4-first.onnx --data "$(REAL_PHOTOGRAPHS)" --licence "$(LICENCE)" --io float
	$(PYTHON) plugins/pixlate_srgan/recipes/interpolate.py runs/photo-x4.onnx runs/photo-x4-first.onnx 0.25 plugins/pixlate_srgan/models/photo-x4.onnx

photo-x4-free: LICENCE := BSD-3-Clause, as its teacher real-esrgan-x4
photo-x4-free: run-photo-x4-free-first
	$(call train,distill,photo-x4-free,"$(FREE_PHOTOGRAPHS)",runs/photo-x4-free-first)
	$(PIXLATE) export runs/photo-x4-free runs/photo-x4-free.onnx --data "$(FREE)" --licence "$(LICENCE)" --io float
	$(PIXLATE) export runs/photo-x4-free-first runs/photo-x4-free-first.onnx --data "$(FREE)" --licence "$(LICENCE)" --io float
	$(PYTHON) plugins/pixlate_srgan/recipes/interpolate.py runs/photo-x4-free.onnx runs/photo-x4-free-first.onnx 0.8 plugins/pixlate_distill/models/photo-x4-free.onnx

photo-x2: runs/photographs
	$(call train,srgan,photo-x2,$(SHARP),photo-x4)
	$(call export_model,srgan,runs/photo-x2,photo-x2,source_to_target,$(REAL_PHOTOGRAPHS))

clean: run-clean-second
	$(call train,srgan,clean,$(SHARP) runs/grey,runs/clean-second)
	$(call export_model,srgan,runs/clean,clean,source_to_target,$(REAL_PHOTOGRAPHS))

brighten: runs/photographs
	$(call train,srgan,brighten,$(SHARP),clean)
	$(call export_model,srgan,runs/brighten,brighten,source_to_target,$(REAL_PHOTOGRAPHS))

colour-drawing: LICENCE := CC BY-SA 4.0, as the drawings of OpenMoji
colour-drawing: run-colour-drawing-first
	$(call train,pix2pix,colour-drawing,$(EMOJI_PAIRS),runs/colour-drawing-first)
	$(call export_model,pix2pix,runs/colour-drawing,colour-drawing,source_to_target,$(EMOJI)) --half-weights

sketch-to-photo: run-sketch-to-photo-first
	$(call train,pix2pix,sketch-to-photo,$(PAIRS)/source $(PAIRS)/target,runs/sketch-to-photo-first)
	$(call export_model,pix2pix,runs/sketch-to-photo/checkpoints/step-00003250,sketch-to-photo,source_to_target,$(DRAWINGS)) --half-weights

night-to-day: day-to-night
day-to-night:
	$(call train,cyclegan,day-to-night,$(DAYS))
	$(call export_model,cyclegan,runs/day-to-night,day-to-night,source_to_target,$(DAYS_AND_NIGHTS))
	$(call export_model,cyclegan,runs/day-to-night,night-to-day,target_to_source,$(DAYS_AND_NIGHTS))

run-sketch-to-photo-first: $(PAIRS)
	$(call train,pix2pix,sketch-to-photo-first,$(PAIRS)/source $(PAIRS)/target)

run-colour-drawing-first:
	$(call train,pix2pix,colour-drawing-first,$(EMOJI_PAIRS))

run-photo-x4-first: runs/photographs
	$(call train,srgan,photo-x4-first,$(SHARP))

run-photo-x4-free-first:
	$(call train,distill,photo-x4-free-first,"$(FREE_PHOTOGRAPHS)")

# All photographs but the 20 of the test set whose names sort last, which `bench_quality.py` measures on.
runs/photographs:
	mkdir -p $@
	ln -s "$(PIXLATE_DATA)"/photos/train/*.jpg $@
	ls "$(PIXLATE_DATA)"/photos/test/*.jpg | sort | head -n -20 | while read -r path; do ln -s "$$path" $@; done

run-clean-first: runs/photographs runs/grey
	$(call train,srgan,clean-first,$(SHARP) runs/grey)

run-clean-second: run-clean-first
	$(call train,srgan,clean-second,$(SHARP) runs/grey,runs/clean-first)

# Every third of these photographs in grey.
runs/grey: runs/photographs
	$(PYTHON) plugins/pixlate_srgan/recipes/grey.py runs/photographs $@

$(PAIRS):
	$(PYTHON) plugins/pixlate_pix2pix/recipes/pairs.py "$(PIXLATE_DATA)" $@
